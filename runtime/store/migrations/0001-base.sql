-- The whole schema. History tables are partitioned by week from the start; retention drops whole partitions.
-- Rows that change often leave room on their page (fillfactor) so that updates stay on it; indexes of open work are partial, so finished work costs them nothing.

-- One row per node incarnation. Its existence with swept_at null proves that nothing of it was given away yet.
CREATE TABLE node (
  id uuid PRIMARY KEY,
  host text NOT NULL,
  pid int NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  lease_ms int NOT NULL,
  lease_until timestamptz NOT NULL,
  draining boolean NOT NULL DEFAULT false,
  manifest jsonb NOT NULL DEFAULT '[]',
  -- What agents may require of it.
  labels jsonb NOT NULL DEFAULT '{}',
  event_seq int NOT NULL DEFAULT 0,
  swept_at timestamptz
) WITH (fillfactor = 50);

-- One row: the secret that the nodes of this database sign their frames with.
CREATE TABLE cluster_key (
  sole boolean PRIMARY KEY DEFAULT true CHECK (sole),
  secret text NOT NULL
);

CREATE TABLE task (
  id uuid PRIMARY KEY,
  tenant text NOT NULL,
  capability text NOT NULL,
  version int NOT NULL,
  queue text COLLATE "C" NOT NULL,
  agent_id uuid,
  state text NOT NULL CHECK (state IN ('scheduled', 'queued', 'running', 'waiting', 'completed', 'failed', 'dead', 'cancelled', 'timed_out')),
  priority smallint NOT NULL,
  -- Enqueue time minus priority times 30 s, fixed at insert: that is how waiting tasks age.
  rank timestamptz NOT NULL,
  run_at timestamptz NOT NULL,
  queue_until timestamptz,
  deadline_at timestamptz,
  timeout_ms int NOT NULL,
  retry jsonb NOT NULL,
  max_attempts int NOT NULL,
  attempt int NOT NULL DEFAULT 0,
  crash_count int NOT NULL DEFAULT 0,
  fence bigint NOT NULL DEFAULT 0,
  owner_node uuid,
  claimed_at timestamptz,
  last_agent uuid,
  -- Where and for how long its first attempt ran, once that completed it: such a task has no row in attempt (see attempt_log).
  ran_on uuid,
  ran_thread int,
  run_ms double precision,
  workflow_id uuid,
  step_key text,
  round int,
  dedupe_key text,
  traceparent text,
  event_seq int NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  started_at timestamptz,
  ended_at timestamptz,
  cancel_report jsonb,
  input jsonb,
  result jsonb,
  error jsonb,
  -- What its attempts used together, as far as they reported it.
  usage jsonb,
  -- Questions its handlers asked people, oldest first, each with its answer or with expired: true.
  inputs jsonb,
  CHECK ((state = 'running') = (owner_node IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX task_ready ON task (queue, rank, id) WHERE state = 'queued';
CREATE INDEX task_pinned ON task (queue) WHERE state = 'queued' AND agent_id IS NOT NULL;
CREATE INDEX task_due ON task (run_at) WHERE state = 'scheduled';
CREATE INDEX task_owned ON task (owner_node) WHERE state = 'running';
CREATE INDEX task_queue_until ON task (queue_until) WHERE queue_until IS NOT NULL AND started_at IS NULL AND state IN ('scheduled', 'queued');
CREATE INDEX task_deadline ON task (deadline_at) WHERE deadline_at IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'waiting');
CREATE INDEX task_tenant ON task (tenant, id);
CREATE INDEX task_ended ON task (ended_at) WHERE ended_at IS NOT NULL;
CREATE UNIQUE INDEX task_step ON task (workflow_id, step_key, round) WHERE workflow_id IS NOT NULL;
CREATE UNIQUE INDEX task_dedupe ON task (tenant, dedupe_key) WHERE dedupe_key IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'waiting');

CREATE INDEX task_waiting ON task (run_at) WHERE state = 'waiting';

-- How many ended tasks there are, so that nobody counts them. Kept by the statements that end, reopen or delete tasks; the flush of each
-- node has rows of its own (slot), so that nodes do not wait for each other; retention folds those of nodes that are gone.
CREATE TABLE task_tally (
  tenant text NOT NULL,
  state text NOT NULL,
  slot uuid NOT NULL,
  n bigint NOT NULL,
  PRIMARY KEY (tenant, state, slot)
) WITH (fillfactor = 50);

CREATE TABLE attempt (
  task_id uuid NOT NULL,
  fence bigint NOT NULL,
  attempt int NOT NULL,
  node uuid NOT NULL,
  agent_id uuid,
  thread int,
  started_at timestamptz,
  ended_at timestamptz NOT NULL,
  outcome text NOT NULL,
  error jsonb,
  run_ms double precision,
  PRIMARY KEY (task_id, fence, ended_at)
) PARTITION BY RANGE (ended_at);

CREATE TABLE agent (
  id uuid PRIMARY KEY,
  tenant text NOT NULL,
  type text NOT NULL,
  def_hash text NOT NULL,
  name text NOT NULL,
  config jsonb NOT NULL,
  capabilities jsonb,
  isolation text NOT NULL,
  desired text NOT NULL DEFAULT 'running' CHECK (desired IN ('running', 'paused', 'terminated')),
  state text NOT NULL DEFAULT 'created',
  reason text,
  owner_node uuid,
  -- Who changed the row last: an owner reads only what others changed.
  changed_by uuid,
  epoch bigint NOT NULL DEFAULT 1,
  version bigint NOT NULL DEFAULT 1,
  event_seq int NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  ended_at timestamptz,
  -- Names with values, for multicast.
  labels jsonb,
  -- Labels that its node must have; null: any node will do.
  requires jsonb,
  -- Put to sleep: nobody owns it until something is there for it.
  passive boolean NOT NULL DEFAULT false,
  -- Its former owner gave it to the present one, which does not know it yet.
  given boolean NOT NULL DEFAULT false,
  passivate_after_ms int,
  snapshot jsonb
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX agent_name ON agent (tenant, name) WHERE desired <> 'terminated';
CREATE INDEX agent_tenant ON agent (tenant, id);
CREATE INDEX agent_owned ON agent (owner_node) WHERE owner_node IS NOT NULL;
CREATE INDEX agent_foreign_change ON agent (owner_node) WHERE owner_node IS NOT NULL AND changed_by IS DISTINCT FROM owner_node;
CREATE INDEX agent_unowned ON agent (def_hash) WHERE owner_node IS NULL AND desired <> 'terminated' AND NOT passive;
CREATE INDEX agent_passive ON agent (id) WHERE passive;
CREATE INDEX agent_ended ON agent (ended_at) WHERE ended_at IS NOT NULL;

-- A timer that is set again gets a new generation: the one that fired meanwhile cannot take it away.
CREATE TABLE agent_timer (
  agent_id uuid NOT NULL,
  key text NOT NULL,
  due_at timestamptz NOT NULL,
  generation bigint NOT NULL DEFAULT 1,
  body jsonb,
  PRIMARY KEY (agent_id, key)
);
CREATE INDEX agent_timer_due ON agent_timer (due_at);

-- Durable mail until it is handled. The order within a lane is that of seq; the row goes in the commit that keeps what its handler did.
CREATE TABLE inbox (
  receiver uuid NOT NULL,
  seq bigint GENERATED ALWAYS AS IDENTITY,
  id uuid NOT NULL,
  tenant text NOT NULL,
  sender text,
  lane text NOT NULL,
  type text NOT NULL,
  body jsonb,
  protocol text,
  traceparent text,
  -- Topic, channel and hops of a message to many.
  via jsonb,
  correlation text,
  accepted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Handlers that failed, and at most how many may; deaths of its node or thread under suspicion.
  attempts int NOT NULL DEFAULT 0,
  max_attempts int NOT NULL,
  crashes int NOT NULL DEFAULT 0,
  due_at timestamptz,
  PRIMARY KEY (receiver, seq)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
-- Replies to durable requests: the same correlation is answered the same.
CREATE TABLE message_reply (
  tenant text NOT NULL,
  correlation text NOT NULL,
  message_id uuid NOT NULL,
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'replied', 'failed')),
  reply jsonb,
  kept_until timestamptz NOT NULL,
  PRIMARY KEY (tenant, correlation)
) WITH (fillfactor = 70);
CREATE INDEX message_reply_age ON message_reply (kept_until);

CREATE TABLE workflow (
  id uuid PRIMARY KEY,
  tenant text NOT NULL,
  name text NOT NULL,
  pattern text NOT NULL,
  spec jsonb NOT NULL,
  def_hash text NOT NULL,
  status text NOT NULL DEFAULT 'created',
  stop_reason text,
  output jsonb,
  error jsonb,
  metrics jsonb,
  -- Of the state that the run ended in: a replay of its journal comes to the same.
  state_hash text,
  owner_node uuid,
  version bigint NOT NULL DEFAULT 1,
  event_seq int NOT NULL DEFAULT 1,
  journal_seq int NOT NULL DEFAULT 0,
  decision_seq int NOT NULL DEFAULT 0,
  done int NOT NULL DEFAULT 0,
  total int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  started_at timestamptz,
  ended_at timestamptz,
  -- The round of the run that this run is, the run at the top, the runs above.
  parent_id uuid,
  parent_step text,
  parent_round int,
  root_id uuid,
  depth int NOT NULL DEFAULT 0,
  -- Outcomes that a fork takes over.
  fork_of uuid,
  fork_step text,
  recorded jsonb
) WITH (fillfactor = 70);
CREATE INDEX workflow_parent ON workflow (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX workflow_tenant ON workflow (tenant, id);
CREATE INDEX workflow_owned ON workflow (owner_node) WHERE owner_node IS NOT NULL;
CREATE INDEX workflow_unowned ON workflow (id) WHERE owner_node IS NULL AND status IN ('running', 'paused');
CREATE INDEX workflow_open ON workflow (created_at) WHERE ended_at IS NULL;
CREATE INDEX workflow_ended ON workflow (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE workflow_snapshot (
  workflow_id uuid PRIMARY KEY,
  journal_seq int NOT NULL,
  state jsonb
);
-- A read event stays as an empty row so that the same event id is never taken twice; it goes with its workflow.
CREATE TABLE workflow_inbox (
  workflow_id uuid NOT NULL,
  event_id text NOT NULL,
  seq bigint GENERATED ALWAYS AS IDENTITY,
  consumed boolean NOT NULL DEFAULT false,
  event jsonb,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (workflow_id, event_id)
) WITH (fillfactor = 70);
CREATE INDEX workflow_inbox_unread ON workflow_inbox (workflow_id, seq) WHERE NOT consumed;
CREATE TABLE workflow_timer (
  workflow_id uuid NOT NULL,
  key text NOT NULL,
  due_at timestamptz NOT NULL,
  deadline boolean NOT NULL DEFAULT false,
  PRIMARY KEY (workflow_id, key)
);
CREATE INDEX workflow_timer_due ON workflow_timer (due_at);
-- Questions to people.
CREATE TABLE workflow_input (
  workflow_id uuid NOT NULL,
  step text NOT NULL,
  round int NOT NULL,
  tenant text NOT NULL,
  root_id uuid NOT NULL,
  request jsonb NOT NULL,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'answered', 'closed')),
  value jsonb,
  answered_by text,
  asked_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  ended_at timestamptz,
  PRIMARY KEY (workflow_id, step, round)
);
CREATE INDEX workflow_input_root ON workflow_input (root_id);
CREATE INDEX workflow_input_open ON workflow_input (tenant, asked_at) WHERE state = 'open';
-- What a run was told, in order. The first row of a commit also holds what was decided in it and the events it gave out; their last
-- sequence numbers stand beside them.
CREATE TABLE workflow_journal (
  workflow_id uuid NOT NULL,
  seq int NOT NULL,
  at timestamptz NOT NULL,
  event jsonb NOT NULL,
  decision_seq int,
  decisions jsonb,
  event_seq int,
  events jsonb,
  PRIMARY KEY (workflow_id, seq, at)
) PARTITION BY RANGE (at);

-- Streams: seq comes from the row of the stream's subject, under that row's fence; the key is the second guard.
CREATE TABLE event (
  stream uuid NOT NULL,
  seq int NOT NULL,
  kind text NOT NULL,
  tenant text NOT NULL,
  type text NOT NULL,
  at timestamptz NOT NULL,
  data jsonb NOT NULL,
  PRIMARY KEY (stream, seq, at)
) PARTITION BY RANGE (at);
-- Rows come in the order of their time: an index of ranges costs next to nothing to keep, and a window of time is found by it.
CREATE INDEX event_at ON event USING brin (at);

-- Every stored event of every stream. What a row of its own says anyway is not written a second time: the beginnings of tasks, agents and
-- runs, the end of a task whose first attempt completed it, and what a run tells is in its journal.
CREATE VIEW event_log (stream, seq, kind, tenant, type, at, data) AS
  SELECT stream, seq, kind, tenant, type, at, data FROM event
  UNION ALL SELECT id, 1, 'task', tenant, 'task.accepted', created_at, jsonb_strip_nulls(jsonb_build_object('capability', capability,
    'version', version, 'queue', queue, 'priority', priority, 'workflowId', workflow_id, 'stepKey', step_key)) FROM task
  UNION ALL SELECT id, event_seq, 'task', tenant, 'task.completed', ended_at, jsonb_build_object('attempt', attempt, 'agentId', last_agent,
    'runMs', run_ms) || CASE WHEN usage IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('usage', usage) END
    FROM task WHERE state = 'completed' AND fence = 1
  UNION ALL SELECT id, 1, 'agent', tenant, 'agent.created', created_at, jsonb_build_object('type', type, 'name', name) FROM agent
  UNION ALL SELECT id, 1, 'workflow', tenant, 'workflow.created', created_at, jsonb_strip_nulls(jsonb_build_object('name', name,
    'pattern', pattern, 'parent', parent_id)) FROM workflow
  UNION ALL SELECT id, 2, 'workflow', tenant, 'workflow.started', started_at, jsonb_build_object('seed', spec->'seed') FROM workflow
    WHERE started_at = created_at
  UNION ALL SELECT j.workflow_id, j.event_seq - jsonb_array_length(j.events) + e.n::int, 'workflow', w.tenant, e.event->>'type', j.at, e.event->'data'
    FROM workflow_journal j JOIN workflow w ON w.id = j.workflow_id
    CROSS JOIN LATERAL jsonb_array_elements(j.events) WITH ORDINALITY AS e(event, n) WHERE j.events IS NOT NULL;

-- Every attempt that ended. A task that its first attempt completed stands for that attempt itself.
CREATE VIEW attempt_log AS
  SELECT task_id, fence, attempt, node, agent_id, thread, started_at, ended_at, outcome, error, run_ms FROM attempt
  UNION ALL SELECT id, fence, attempt, ran_on, last_agent, ran_thread, claimed_at, ended_at, 'completed', NULL, run_ms
    FROM task WHERE state = 'completed' AND fence = 1;

-- Sets of agents: channels, groups, and per tenant one set `topics` of all subscriptions. The view number grows with every change of members.
CREATE TABLE channel (
  id uuid PRIMARY KEY,
  tenant text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('channel', 'group', 'topics')),
  name text NOT NULL,
  view bigint NOT NULL DEFAULT 1,
  filter jsonb,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX channel_name ON channel (tenant, (kind = 'topics'), name);
-- A subscription has a pattern of topics, a type of messages, or both; a member of a channel or group has neither.
CREATE TABLE channel_member (
  channel_id uuid NOT NULL REFERENCES channel (id) ON DELETE CASCADE,
  agent_id uuid NOT NULL,
  topic text NOT NULL DEFAULT '',
  type text NOT NULL DEFAULT '',
  condition jsonb,
  joined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (channel_id, agent_id, topic, type)
);
CREATE INDEX channel_member_agent ON channel_member (agent_id);

-- An agent that is removed leaves everything it was in, in the commit that removes it.
CREATE FUNCTION troupe_leave_channels() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM channel_member WHERE agent_id = NEW.id) THEN
    PERFORM 1 FROM channel WHERE id IN (SELECT channel_id FROM channel_member WHERE agent_id = NEW.id) ORDER BY id FOR UPDATE;
    WITH gone AS (DELETE FROM channel_member WHERE agent_id = NEW.id RETURNING channel_id)
    UPDATE channel SET view = view + 1 WHERE id IN (SELECT channel_id FROM gone);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER agent_leaves_channels AFTER UPDATE OF desired ON agent FOR EACH ROW
  WHEN (NEW.desired = 'terminated' AND OLD.desired <> 'terminated') EXECUTE FUNCTION troupe_leave_channels();

CREATE TABLE dead_letter (
  id uuid NOT NULL,
  tenant text NOT NULL,
  reason text NOT NULL,
  receiver text NOT NULL,
  sender text,
  type text NOT NULL,
  body jsonb,
  message_id text NOT NULL,
  at_ms double precision NOT NULL,
  replays int NOT NULL DEFAULT 0,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant, id, at)
) PARTITION BY RANGE (at);

-- Metrics of nodes: what was added in a minute or hour, and levels at its end (of an hour: their mean), by name of the series.
CREATE TABLE metric_figures (
  step_s int NOT NULL CHECK (step_s IN (60, 3600)),
  at timestamptz NOT NULL,
  node uuid NOT NULL,
  figures jsonb NOT NULL,
  PRIMARY KEY (step_s, at, node)
);

CREATE TABLE idempotency (
  tenant text NOT NULL,
  kind text NOT NULL,
  key text NOT NULL,
  body_hash text NOT NULL,
  target uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant, kind, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

-- The tables above that are partitioned by week.
CREATE FUNCTION troupe_history_tables() RETURNS text[] LANGUAGE sql IMMUTABLE
  AS $$ SELECT ARRAY['attempt', 'event', 'workflow_journal', 'dead_letter'] $$;

-- Makes the partition of this week and of the next ones. Rows that found none are in the default partition and stay there.
CREATE FUNCTION troupe_make_partitions(ahead int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  parent text; starts timestamp; made int := 0; part text;
BEGIN
  FOREACH parent IN ARRAY troupe_history_tables() LOOP
    FOR n IN 0..ahead LOOP
      starts := date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC') + n * interval '7 days';
      part := parent || '_' || to_char(starts, 'YYYYMMDD');
      IF to_regclass(quote_ident(part)) IS NULL THEN
        BEGIN
          EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, parent,
            to_char(starts, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(starts + interval '7 days', 'YYYY-MM-DD') || ' 00:00:00+00');
          made := made + 1;
        EXCEPTION WHEN check_violation OR duplicate_table THEN NULL;
        END;
      END IF;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;

-- Drops the weekly partitions of a table that end before a time.
CREATE FUNCTION troupe_drop_partitions(parent text, before timestamptz) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  part record; dropped int := 0;
BEGIN
  FOR part IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = parent::regclass AND c.relname ~ '_[0-9]{8}$' LOOP
    IF (to_date(right(part.relname, 8), 'YYYYMMDD') + 7)::timestamp AT TIME ZONE 'UTC' <= before THEN
      EXECUTE format('DROP TABLE %I', part.relname);
      dropped := dropped + 1;
    END IF;
  END LOOP;
  RETURN dropped;
END $$;

DO $$
DECLARE parent text;
BEGIN
  FOREACH parent IN ARRAY troupe_history_tables() LOOP
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', parent || '_default', parent);
  END LOOP;
END $$;
SELECT troupe_make_partitions(2);

-- What there is to do for one node, answered by index probes alone: asked at every poll, so it must cost nothing when the answer is "nothing".
-- A function, because its plans are made once per session; the planner must not think of scans while the tables are small. All probes are one
-- statement, because starting a statement costs more than a probe. Waits are milliseconds; what does not apply is absent.
-- `foreignChanges` is a number that differs after every change by another node.
CREATE FUNCTION troupe_pulse(me uuid, most_queues int, ahead_ms int) RETURNS jsonb LANGUAGE plpgsql
  SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  now_at timestamptz := clock_timestamp(); p record; last text COLLATE "C"; ready text[] := '{}';
BEGIN
  SELECT
    least((SELECT run_at FROM task WHERE state = 'scheduled' ORDER BY run_at LIMIT 1),
      (SELECT run_at FROM task WHERE state = 'waiting' ORDER BY run_at LIMIT 1)) AS promote,
    (SELECT deadline_at FROM task WHERE deadline_at IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'waiting')
      ORDER BY deadline_at LIMIT 1) AS deadline,
    (SELECT queue_until FROM task WHERE queue_until IS NOT NULL AND started_at IS NULL AND state IN ('scheduled', 'queued')
      ORDER BY queue_until LIMIT 1) AS queue_until,
    (SELECT due_at FROM workflow_timer ORDER BY due_at LIMIT 1) AS workflow_timer,
    (SELECT due_at FROM agent_timer t WHERE due_at <= now_at + ahead_ms * interval '1 millisecond'
      AND EXISTS (SELECT 1 FROM agent a WHERE a.id = t.agent_id AND (a.owner_node = me OR a.passive)) ORDER BY due_at LIMIT 1) AS agent_timer,
    (SELECT queue FROM task WHERE state = 'queued' ORDER BY queue LIMIT 1) AS queue,
    (SELECT count(*) FROM task WHERE state = 'running' AND owner_node = me) AS running,
    EXISTS (SELECT 1 FROM workflow w WHERE w.owner_node = me AND w.status IN ('running', 'paused')
      AND EXISTS (SELECT 1 FROM workflow_inbox i WHERE i.workflow_id = w.id AND NOT i.consumed)) AS mail,
    EXISTS (SELECT 1 FROM workflow WHERE owner_node IS NULL AND status IN ('running', 'paused')) AS free_runs,
    (SELECT def_hash FROM agent WHERE owner_node IS NULL AND desired <> 'terminated' AND NOT passive LIMIT 1) IS NOT NULL AS free_agents,
    (SELECT sum(version) FROM agent WHERE owner_node = me AND owner_node IS NOT NULL AND changed_by IS DISTINCT FROM owner_node) AS changes,
    (SELECT receiver FROM inbox ORDER BY receiver, seq LIMIT 1) IS NOT NULL AS letters,
    (SELECT id FROM agent WHERE passive ORDER BY id LIMIT 1) IS NOT NULL AS asleep,
    -- Nodes to be marked, and marked ones that still own something.
    EXISTS (SELECT 1 FROM node d WHERE CASE WHEN swept_at IS NULL
      THEN greatest(lease_until, pg_postmaster_start_time() + lease_ms * interval '1 millisecond') <= now_at
      ELSE EXISTS (SELECT 1 FROM task WHERE state = 'running' AND owner_node = d.id)
        OR EXISTS (SELECT 1 FROM agent WHERE owner_node = d.id AND owner_node IS NOT NULL)
        OR EXISTS (SELECT 1 FROM workflow WHERE owner_node = d.id AND owner_node IS NOT NULL) END) AS sweep
  INTO p;

  -- Jumps from queue to queue along the index: the cost is the number of queues, not of tasks. The shared ones first, then those of agents.
  IF p.queue IS NOT NULL THEN
    last := '';
    FOR i IN 1..most_queues LOOP
      SELECT queue INTO last FROM task WHERE state = 'queued' AND queue > last ORDER BY queue LIMIT 1;
      EXIT WHEN NOT FOUND;
      IF last >= 'agent:' AND last < 'agent;' THEN last := 'agent;'; ELSE ready := ready || last; END IF;
    END LOOP;
    last := 'agent:';
    FOR i IN 1..most_queues LOOP
      SELECT queue INTO last FROM task WHERE state = 'queued' AND queue > last AND queue < 'agent;' ORDER BY queue LIMIT 1;
      EXIT WHEN NOT FOUND;
      ready := ready || last;
    END LOOP;
  END IF;
  IF p.free_agents THEN
    p.free_agents := EXISTS (SELECT 1 FROM agent WHERE owner_node IS NULL AND desired <> 'terminated' AND NOT passive AND def_hash = ANY (ARRAY(
      SELECT value->>'defHash' FROM node CROSS JOIN LATERAL jsonb_array_elements(manifest) WHERE id = me))
      AND (requires IS NULL OR requires <@ (SELECT labels FROM node WHERE id = me)));
  END IF;

  RETURN jsonb_strip_nulls(jsonb_build_object(
    'promoteInMs', extract(epoch FROM p.promote - now_at) * 1000,
    'expireInMs', extract(epoch FROM least(p.deadline, p.queue_until) - now_at) * 1000,
    'workflowTimerInMs', extract(epoch FROM p.workflow_timer - now_at) * 1000,
    'agentTimerInMs', extract(epoch FROM p.agent_timer - now_at) * 1000,
    'queues', CASE WHEN ready <> '{}' THEN to_jsonb(ready) END,
    'running', nullif(p.running, 0),
    'mail', nullif(p.mail, false),
    'freeRuns', nullif(p.free_runs, false),
    'freeAgents', nullif(p.free_agents, false),
    'foreignChanges', p.changes,
    'letters', nullif(p.letters, false),
    -- Something may be there for one of those asleep.
    'wanted', nullif(p.asleep AND (p.letters OR p.queue IS NOT NULL OR p.agent_timer <= now_at), false),
    'sweep', nullif(p.sweep, false)));
END $$;
