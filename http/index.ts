// The door `troupe/http`: the REST API as a Hono app for a user's own server, and the pieces to serve it as the CLI does.

export { type AppOptions, createApp } from './app.ts';
export {
  type Authenticate,
  createTokenAuthenticator,
  type MintOptions,
  mintToken,
  type Principal,
  type Role,
  type TokenOptions,
} from './auth.ts';
export { type HttpServer, ListenError, type ServerOptions, startServer } from './server.ts';
