// agents/clerk.mjs
import { defineAgent } from 'troupe/agents';

export const clerk = defineAgent({
  type: 'clerk',
  state: { notes: [] },
  on: {
    note: ({ body }, ctx) => {
      ctx.state = { notes: [...ctx.state.notes, body] };
    },
    read: (_message, ctx) => ctx.state.notes,
  },
});
