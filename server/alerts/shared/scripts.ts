import { defineScript } from "../../../workers/redis/connection.ts";
import { keyPrefix } from "../../../workers/redis/scripts.ts";

/**
 * The alerts of several instances in Redis; every key begins with `alertKeys`:
 *
 *   lead              who decides: "instance term", for as long as the key lives
 *   term              number of the newest term; a term is never taken up again
 *   alive             Redis's time at which the holder was last heard of
 *   rows:TABLE        hash: key of a row → the row as JSON; what SQLite holds on one instance alone
 *   places            hash: SHARD → entry of the journal up to which everything is decided, and written here
 *   shown, shown-at   what the others show of the alarms, and its number
 *   requests          list: what was asked of instances that do not hold the lease
 *   answer:ID         what the holder says to one
 *
 * Whatever the holder writes is fenced by its term, in the same step.
 */
export const alertKeys = `${keyPrefix}alerts:`;

const prelude = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local p, a = '${keyPrefix}', '${alertKeys}'`;

const fence = `${prelude}
if redis.call('GET', a .. 'lead') ~= ARGV[1] then return 'lost' end`;

/** Instance, lease ms → "ours TERM MS SHARDS": ms since the holder before was heard of, -1: there was none; or "theirs SHOWN-AT". */
export const take = defineScript(`${prelude}
local held = redis.call('GET', a .. 'lead')
if held and string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then return 'theirs ' .. (redis.call('GET', a .. 'shown-at') or 0) end
local term = redis.call('INCR', a .. 'term')
redis.call('SET', a .. 'lead', ARGV[1] .. ' ' .. term, 'PX', ARGV[2])
local alive = redis.call('GET', a .. 'alive')
redis.call('SET', a .. 'alive', now)
return 'ours ' .. term .. ' ' .. (alive and now - alive or -1) .. ' ' .. (redis.call('HGET', p .. 'journal', 'shards') or 1)`);

/**
 * Holder, lease ms, requests at most, entries at most, (shard, place)… → "lost", or Redis's time,
 * the requests, and for each shard: the newest entry that is stored and gone, and the entries after the place. A place of "$" is the
 * newest entry.
 */
export const keep = defineScript(`${fence}
redis.call('PEXPIRE', a .. 'lead', ARGV[2])
redis.call('SET', a .. 'alive', now)
local answer = { now, {} }
for i = 1, tonumber(ARGV[3]) do
  local request = redis.call('RPOP', a .. 'requests')
  if not request then break end
  answer[2][i] = request
end
for i = 5, #ARGV, 2 do
  local stream, place = p .. 's:' .. ARGV[i], ARGV[i + 1]
  local shard = { redis.call('HGET', p .. 'trimmed', ARGV[i]) or '0-0' }
  if place == '$' then
    local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
    shard[2] = newest and newest[1] or shard[1]
  else
    for j, entry in ipairs(redis.call('XRANGE', stream, '(' .. place, '+', 'COUNT', ARGV[4])) do shard[j + 1] = entry[1] end
  end
  answer[#answer + 1] = shard
end
return answer`);

/** Holder, how many places, (shard, entry)…, how many rows, (table, key, row)…, (table, key)… of rows that are no more. */
export const write = defineScript(`${fence}
local at = 3 + 2 * ARGV[2]
for i = 3, at - 1, 2 do redis.call('HSET', a .. 'places', ARGV[i], ARGV[i + 1]) end
local rows = at + 1 + 3 * ARGV[at]
for i = at + 1, rows - 1, 3 do redis.call('HSET', a .. 'rows:' .. ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
for i = rows, #ARGV, 2 do redis.call('HDEL', a .. 'rows:' .. ARGV[i], ARGV[i + 1]) end
return 'ok'`);

/** Holder, what the others show. */
export const show = defineScript(`${fence}
redis.call('SET', a .. 'shown', ARGV[2])
redis.call('INCR', a .. 'shown-at')
return 'ok'`);

/** Holder: the next one need not wait for the lease's end. */
export const release = defineScript(`${fence}
redis.call('DEL', a .. 'lead')
return 'ok'`);

/** Requests at most, request: the oldest ones are given up. Each carries Redis's time. */
export const ask = defineScript(`${prelude}
redis.call('LPUSH', a .. 'requests', now .. ' ' .. ARGV[2])
redis.call('LTRIM', a .. 'requests', 0, ARGV[1] - 1)
redis.call('PEXPIRE', a .. 'requests', 30000)
return 'ok'`);
