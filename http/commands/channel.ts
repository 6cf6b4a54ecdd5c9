// `troupe channel`: channels and groups of a running server, made, joined, left and deleted.

import type { Command } from 'commander';
import { fields, jsonArgument, print, type Row, table } from './output.ts';
import { connect, type RemoteOptions, withRemoteOptions } from './remote.ts';

const BASE = '/api/agents/channels';
const pathOf = (id: string): string => `${BASE}/${encodeURIComponent(id)}`;
const show = (channel: Row): string =>
  fields(channel, ['id', 'name', 'kind', 'members', 'viewId', 'filter', 'createdAt']);
const listOf = (text: string): string[] => text.split(',').map((part) => part.trim());

export function addChannelCommand(program: Command): void {
  const channel = program.command('channel').description('channels and groups of a running server');

  withRemoteOptions(channel.command('create'))
    .description('create a channel, or a group')
    .argument('<name>')
    .option('--group', 'a group, for multicasts')
    .option('--members <agents>', 'ids or names, comma separated')
    .option('--filter <json>', '{ "schema": ..., "where": ... }: JSON, @file, or - for standard input')
    .action(async (name: string, flags: RemoteOptions & { group?: boolean; members?: string; filter?: string }) => {
      const remote = await connect(flags);
      const body = {
        name,
        ...(flags.group ? { kind: 'group' } : {}),
        ...(flags.members === undefined ? {} : { members: listOf(flags.members) }),
        ...(flags.filter === undefined ? {} : { filter: jsonArgument('--filter', flags.filter) }),
      };
      print(await remote.send('POST', `${BASE}/create`, body), flags.json, show);
    });

  withRemoteOptions(channel.command('list'))
    .description('list channels and groups, newest first')
    .option('--kind <kind>', 'channel or group')
    .option('--member <agent>', 'only those this agent is in')
    .option('--limit <n>', 'items on a page')
    .option('--cursor <cursor>', 'the next page')
    .action(async (flags: RemoteOptions & Record<string, string | undefined>) => {
      const remote = await connect(flags);
      const { kind, member, limit, cursor } = flags;
      const page = await remote.get(`${BASE}/list`, { kind, member, limit, cursor });
      print(page, flags.json, pageText(['id', 'name', 'kind', 'members']));
    });

  withRemoteOptions(channel.command('get'))
    .description('show a channel or group')
    .argument('<id>', 'id or name')
    .action(async (id: string, flags: RemoteOptions) => {
      const remote = await connect(flags);
      print(await remote.get(pathOf(id)), flags.json, show);
    });

  withRemoteOptions(channel.command('members'))
    .description('list who is in it')
    .argument('<id>', 'id or name')
    .option('--limit <n>', 'items on a page')
    .option('--cursor <cursor>', 'the next page')
    .action(async (id: string, flags: RemoteOptions & Record<string, string | undefined>) => {
      const remote = await connect(flags);
      const page = await remote.get(`${pathOf(id)}/members`, { limit: flags.limit, cursor: flags.cursor });
      print(page, flags.json, pageText(['agentId', 'name', 'where', 'joinedAt']));
    });

  withRemoteOptions(channel.command('join'))
    .description('make agents members')
    .argument('<id>', 'id or name of the channel')
    .argument('<agents...>', 'ids or names')
    .option('--where <json>', 'only messages for which this condition holds reach them')
    .action(async (id: string, agents: string[], flags: RemoteOptions & { where?: string }) => {
      const remote = await connect(flags);
      const where = flags.where === undefined ? {} : { where: jsonArgument('--where', flags.where) };
      print(await remote.send('POST', `${pathOf(id)}/join`, { agents, ...where }), flags.json, show);
    });

  withRemoteOptions(channel.command('leave'))
    .description('take agents out')
    .argument('<id>', 'id or name of the channel')
    .argument('<agents...>', 'ids or names')
    .action(async (id: string, agents: string[], flags: RemoteOptions) => {
      const remote = await connect(flags);
      print(await remote.send('POST', `${pathOf(id)}/leave`, { agents }), flags.json, show);
    });

  withRemoteOptions(channel.command('delete'))
    .description('delete a channel or group; its members are told (role admin)')
    .argument('<id>', 'id or name')
    .action(async (id: string, flags: RemoteOptions) => {
      const remote = await connect(flags);
      print(await remote.send('DELETE', pathOf(id)), flags.json, (value: Row) =>
        fields(value, ['viewId', 'attempted']),
      );
    });
}

const pageText =
  (columns: readonly string[]) =>
  ({ items, nextCursor }: { items: Row[]; nextCursor: string | null }): string => {
    const rows = table(items, columns);
    return nextCursor === null ? rows : `${rows}\nmore: --cursor ${nextCursor}`;
  };
