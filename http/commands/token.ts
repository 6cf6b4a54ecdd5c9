// `troupe token`: makes a token for the API with the secret of the configuration or of the data folder.

import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { resolveConfig } from '../../runtime/config.ts';
import { isRole, mintToken, ROLES } from '../auth.ts';
import { resolveSecret } from '../secret.ts';
import { configInput, withConfigOptions } from './config-options.ts';
import { UsageError } from './failure.ts';
import { durationArgument, print } from './output.ts';
import { localUrl } from './remote.ts';

interface TokenFlags {
  readonly sub: string;
  readonly role: string;
  readonly tenant: string;
  readonly ttl: number;
  readonly link?: boolean;
  readonly json?: boolean;
}

export function addTokenCommand(program: Command): void {
  withConfigOptions(program.command('token'))
    .description('make a token for the API')
    .option('--sub <name>', 'whom it names', 'local')
    .option('--role <role>', ROLES.join(', '), 'operator')
    .option('--tenant <tenant>', 'whose agents and tasks it sees', 'default')
    .option('--ttl <duration>', 'how long it is valid, like 1h', durationArgument('--ttl'), 3_600_000)
    .option('--link', 'print the address of the inspector with the token in it')
    .option('--json', 'print JSON')
    .action(async (flags: TokenFlags) => {
      const config = resolveConfig(configInput({ ...flags }), process.env);
      if (config.jwksUrl !== undefined)
        throw new UsageError('TROUPE_JWKS_URL is set: the identity provider makes the tokens');
      const { sub: subject, role, tenant, ttl: ttlMs } = flags;
      if (!isRole(role)) throw new UsageError(`--role takes ${ROLES.join(', ')}, not ${JSON.stringify(role)}`);
      for (const [name, value] of [
        ['--sub', subject],
        ['--tenant', tenant],
      ] as const) {
        if (!/^[\w.@:+-]{1,200}$/.test(value))
          throw new UsageError(`${name} takes letters, digits and . @ : + - _, not ${JSON.stringify(value)}`);
      }
      const { jwtIssuer: issuer, jwtAudience: audience } = config;
      const nowMs = Date.now();
      const secret = resolveSecret(config);
      const token = await mintToken({
        secret,
        subject,
        tenant,
        role,
        ttlMs,
        issuer,
        audience,
        nowMs,
        tokenId: randomUUID(),
      });
      const expiresAt = new Date(nowMs + ttlMs).toISOString();
      const inspector = `${localUrl(config)}/inspect/#token=${token}`;
      print({ token, subject, tenant, role, expiresAt, inspector }, flags.json, () => (flags.link ? inspector : token));
    });
}
