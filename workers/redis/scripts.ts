import { defineScript } from "./connection.ts";

/**
 * The journal in Redis. Every key begins with `keyPrefix`; each script is atomic, so between two of them this always holds:
 *
 *   journal            hash: id (random, part of every token), shards, bytes, and the fleet's durable, stored, dead_lettered rows
 *   s:SHARD            stream: an entry for each append, `n` rows; the rows themselves are in r:SHARD:ENTRY
 *   open:SHARD         hash: the cut that is appended to: cut, rows, bytes, since, first, last
 *   sealed:SHARD       list of cuts that never change again, oldest first: "cut first last rows bytes since"
 *   stored             hash: SHARD → newest cut that is in ClickHouse; cuts are stored in order
 *   trimmed            hash: SHARD → newest entry that is no longer in the stream, because it is in ClickHouse
 *   inflight           hash: SHARD → cut whose insert may be under way
 *   lease:SHARD        who may insert and commit, for as long as the key lives
 *   splits:SHARD:CUT   set of ranges that ClickHouse refused
 *   appends:INSTANCE   hash: number of an append → its outcome, for the newest few
 *   key:NAME           an idempotency key: "p" + instance while under way, "a" + answer for an hour
 *   gate, gate-since, gate-rest   who reads the rollups now: no insert begins meanwhile
 *   page:ID            rows of many entries in one piece, for whoever inserts them: neither logged nor replicated, soon gone
 *
 * A batch is a cut, and its token journal id, shard and cut. Whoever holds the lease inserts the oldest sealed cut.
 */
export const keyPrefix = "{sluice}:";

/** How many outcomes of appends are remembered for each instance: more than can be under way at once. */
export const appendsRemembered = 64;

/** Bounds of what is joined at a time: 0.3 ms of Redis's, and of its memory for as long as it is read. */
const entriesPerPage = 256;
const pageBytesMax = 256 * 2 ** 10;
const pageLifeMs = 10_000;

const clock = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local p = '${keyPrefix}'`;

const seal = `
local function seal(shard)
  local open = p .. 'open:' .. shard
  local o = redis.call('HMGET', open, 'cut', 'first', 'last', 'rows', 'bytes', 'since')
  redis.call('RPUSH', p .. 'sealed:' .. shard, table.concat(o, ' '))
  redis.call('HSET', open, 'cut', o[1] + 1, 'rows', 0, 'bytes', 0, 'since', 0)
end`;

/** id, shards → the id and the number of shards in force */
export const identify = defineScript(`${clock}
redis.call('HSETNX', p .. 'journal', 'id', ARGV[1])
redis.call('HSETNX', p .. 'journal', 'shards', ARGV[2])
return redis.call('HMGET', p .. 'journal', 'id', 'shards')`);

/**
 * journal id, instance, number, max bytes, batch rows, batch bytes, batch age, how many keys, (key, answer)…, (shard, rows,
 * "k" for rows of requests with keys or else "u", bytes)… → "ok SHARD:CUT:ENTRY:k …", or "full", "key" (another instance has
 * it), "foreign" (another journal), "revoked". The same number again changes nothing and has the same answer.
 */
export const append = defineScript(`${clock}${seal}
local done = p .. 'appends:' .. ARGV[2]
local known = redis.call('HGET', done, ARGV[3])
if known then return known end
local journal = p .. 'journal'
local j = redis.call('HMGET', journal, 'id', 'bytes', 'durable')
if j[1] ~= ARGV[1] then return 'foreign' end
local keys = tonumber(ARGV[8])
local at = 9 + 2 * keys
for i = 9, at - 1, 2 do
  local held = redis.call('GET', p .. 'key:' .. ARGV[i])
  if held and held ~= 'p' .. ARGV[2] then return 'key' end
end
local bytes, rows = 0, 0
for i = at, #ARGV, 4 do
  bytes = bytes + #ARGV[i + 3]
  rows = rows + ARGV[i + 1]
end
if (j[2] or 0) + bytes > tonumber(ARGV[4]) then return 'full' end
local answer, seen = { 'ok' }, {}
for i = at, #ARGV, 4 do
  local shard, n, size = ARGV[i], tonumber(ARGV[i + 1]), #ARGV[i + 3]
  local open = p .. 'open:' .. shard
  local o = redis.call('HMGET', open, 'cut', 'rows', 'bytes', 'since')
  local cut, had, held = o[1] or 1, tonumber(o[2] or 0), tonumber(o[3] or 0)
  if had > 0 and not seen[shard] and (had + n > tonumber(ARGV[5]) or held + size > tonumber(ARGV[6]) or now - o[4] >= tonumber(ARGV[7])) then
    seal(shard)
    cut, had, held = cut + 1, 0, 0
  end
  -- An append has one cut in each shard: its partials are of that one.
  seen[shard] = true
  local id = redis.call('XADD', p .. 's:' .. shard, '*', 'n', n)
  redis.call('SET', p .. 'r:' .. shard .. ':' .. id, ARGV[i + 3])
  if had == 0 then
    redis.call('HSET', open, 'cut', cut, 'rows', n, 'bytes', size, 'last', id, 'first', id, 'since', now)
  else
    redis.call('HSET', open, 'rows', had + n, 'bytes', held + size, 'last', id)
  end
  answer[#answer + 1] = shard .. ':' .. cut .. ':' .. id .. ':' .. ARGV[i + 2]
end
for i = 9, at - 1, 2 do redis.call('SET', p .. 'key:' .. ARGV[i], 'a' .. ARGV[i + 1], 'PX', 3600000) end
redis.call('HSET', journal, 'bytes', (j[2] or 0) + bytes, 'durable', (j[3] or 0) + rows)
local text = table.concat(answer, ' ')
redis.call('HSET', done, ARGV[3], text)
redis.call('HDEL', done, ARGV[3] - ${appendsRemembered})
redis.call('EXPIRE', done, 3600)
return text`);

/**
 * instance, number → "gone" (it was not accepted and never will be) or "stands": it was, and a batch that never changes
 * again holds it. What came with keys always stands: another instance may have given the answer out, and whoever was
 * refused and comes again with the key gets it, too.
 */
export const revoke = defineScript(`${clock}
local done = p .. 'appends:' .. ARGV[1]
local known = redis.call('HGET', done, ARGV[2])
redis.call('HSET', done, ARGV[2], 'revoked')
redis.call('EXPIRE', done, 3600)
if not known or known == 'revoked' then return 'gone' end
local parts = {}
for shard, cut, id in string.gmatch(known, '(%d+):(%d+):([%d-]+):u') do
  if redis.call('HGET', p .. 'open:' .. shard, 'cut') ~= cut then
    redis.call('HSET', done, ARGV[2], known)
    return 'stands'
  end
  parts[#parts + 1] = { shard, id }
end
for _, part in ipairs(parts) do
  local stream, open, r = p .. 's:' .. part[1], p .. 'open:' .. part[1], p .. 'r:' .. part[1] .. ':' .. part[2]
  local entry = redis.call('XRANGE', stream, part[2], part[2])[1]
  local size = redis.call('STRLEN', r)
  redis.call('XDEL', stream, part[2])
  redis.call('UNLINK', r)
  redis.call('HINCRBY', open, 'rows', -entry[2][2])
  redis.call('HINCRBY', open, 'bytes', -size)
  redis.call('HINCRBY', p .. 'journal', 'bytes', -size)
  redis.call('HINCRBY', p .. 'journal', 'durable', -entry[2][2])
end
return 'gone'`);

/**
 * instance, lease ms, shards, "1" when it inserts, "1" while it reads the rollups → "journal id|held shards|stored
 * cuts|bytes durable stored dead_lettered|oldest ms, sealed cuts|now". Extends and takes leases: as many as is fair among
 * the writers that live. A reader's hold on the gate is extended, too, unless it has run out: an insert may have begun.
 */
export const tend = defineScript(`${clock}
local me, lease, shards = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local held, stored, oldest, sealed = {}, {}, 0, 0
local function key(shard) return p .. 'lease:' .. shard end
if ARGV[5] == '1' then
  redis.call('ZREMRANGEBYSCORE', p .. 'gate', '-inf', now)
  redis.call('ZADD', p .. 'gate', 'XX', now + lease, me)
end
if ARGV[4] == '1' then
  redis.call('ZADD', p .. 'writers', now + lease, me)
  redis.call('ZREMRANGEBYSCORE', p .. 'writers', '-inf', now)
  local share = math.ceil(shards / redis.call('ZCARD', p .. 'writers'))
  for shard = 0, shards - 1 do
    if redis.call('GET', key(shard)) == me then
      if #held >= share and redis.call('HEXISTS', p .. 'inflight', shard) == 0 then
        redis.call('DEL', key(shard))
      else
        redis.call('PEXPIRE', key(shard), lease)
        held[#held + 1] = shard
      end
    end
  end
  for shard = 0, shards - 1 do
    if #held < share and redis.call('SET', key(shard), me, 'NX', 'PX', lease) then held[#held + 1] = shard end
  end
end
for shard = 0, shards - 1 do
  stored[#stored + 1] = redis.call('HGET', p .. 'stored', shard) or '0'
  local first = redis.call('LINDEX', p .. 'sealed:' .. shard, 0)
  local since = first and tonumber(string.match(first, '(%d+)$')) or tonumber(redis.call('HGET', p .. 'open:' .. shard, 'since') or '0')
  if since > 0 and (oldest == 0 or since < oldest) then oldest = since end
  sealed = sealed + redis.call('LLEN', p .. 'sealed:' .. shard)
end
local j = redis.call('HMGET', p .. 'journal', 'id', 'bytes', 'durable', 'stored', 'dead_lettered')
return table.concat({ j[1] or '', table.concat(held, ' '), table.concat(stored, ' '),
  table.concat({ j[2] or 0, j[3] or 0, j[4] or 0, j[5] or 0 }, ' '), oldest .. ' ' .. sealed, now }, '|')`);

/** instance, shards: gives its leases up at once, for others to take. */
export const leave = defineScript(`${clock}
redis.call('ZREM', p .. 'writers', ARGV[1])
for shard = 0, ARGV[2] - 1 do
  if redis.call('GET', p .. 'lease:' .. shard) == ARGV[1] then redis.call('DEL', p .. 'lease:' .. shard) end
end
return 'ok'`);

/**
 * instance, shard, batch rows, flush ms, "1" to seal whatever there is → "batch CUT FIRST LAST ROWS BYTES SINCE|splits", or
 * "idle", "gate", "lost". From here on the batch counts as in flight.
 */
export const take = defineScript(`${clock}${seal}
local shard = ARGV[2]
if redis.call('GET', p .. 'lease:' .. shard) ~= ARGV[1] then return 'lost' end
local sealed = p .. 'sealed:' .. shard
if redis.call('HEXISTS', p .. 'inflight', shard) == 0 then
  if redis.call('ZCOUNT', p .. 'gate', now, '+inf') > 0 then return 'gate' end
  if redis.call('LLEN', sealed) == 0 then
    local o = redis.call('HMGET', p .. 'open:' .. shard, 'rows', 'since')
    local rows = tonumber(o[1] or '0')
    if rows == 0 then return 'idle' end
    if rows < tonumber(ARGV[3]) and now - o[2] < tonumber(ARGV[4]) and ARGV[5] ~= '1' then return 'idle' end
    seal(shard)
  end
end
local batch = redis.call('LINDEX', sealed, 0)
local cut = string.match(batch, '^%d+')
redis.call('HSET', p .. 'inflight', shard, cut)
return 'batch ' .. batch .. '|' .. table.concat(redis.call('SMEMBERS', p .. 'splits:' .. shard .. ':' .. cut), ' ')`);

/**
 * shard, first entry, last entry, rows to skip, page → "NEWEST SKIPPED ROWS KEY": the entries up to NEWEST, of which the first
 * SKIPPED rows were only counted, and ROWS are in KEY; "" when there are none, "gone ENTRY" when its rows are. One read of many
 * entries costs as much as one of one: after single events an entry holds some ten rows. A large entry is read where it is.
 */
export const joinPage = defineScript(`${clock}
local r = p .. 'r:' .. ARGV[1] .. ':'
local skipped, rows, bytes, newest, parts = 0, 0, 0, nil, {}
for _, entry in ipairs(redis.call('XRANGE', p .. 's:' .. ARGV[1], ARGV[2], ARGV[3], 'COUNT', ${entriesPerPage})) do
  local n = tonumber(entry[2][2])
  if rows == 0 and skipped + n <= tonumber(ARGV[4]) then
    skipped = skipped + n
  else
    local size = redis.call('STRLEN', r .. entry[1])
    if size == 0 then return 'gone ' .. entry[1] end
    if rows > 0 and bytes + size > ${pageBytesMax} then break end
    parts[#parts + 1], rows, bytes = r .. entry[1], rows + n, bytes + size
  end
  newest = entry[1]
end
if not newest then return '' end
local key = parts[1] or ''
if #parts > 1 then
  for i, part in ipairs(parts) do parts[i] = redis.call('GET', part) end
  key = ARGV[5]
  redis.set_repl(redis.REPL_NONE)
  redis.call('SET', key, table.concat(parts), 'PX', ${pageLifeMs})
end
return table.concat({ newest, skipped, rows, key }, ' ')`);

/** instance, shard, cut, range → "ok" or "lost" */
export const split = defineScript(`${clock}
if redis.call('GET', p .. 'lease:' .. ARGV[2]) ~= ARGV[1] then return 'lost' end
redis.call('SADD', p .. 'splits:' .. ARGV[2] .. ':' .. ARGV[3], ARGV[4])
return 'ok'`);

/** instance, shard, cut, dead-lettered rows → "ok", or "lost" when another writer has the shard or the batch is gone. */
export const commit = defineScript(`${clock}
local shard = ARGV[2]
if redis.call('GET', p .. 'lease:' .. shard) ~= ARGV[1] then return 'lost' end
local sealed, stream = p .. 'sealed:' .. shard, p .. 's:' .. shard
local batch = redis.call('LINDEX', sealed, 0)
if not batch then return 'lost' end
local cut, first, last, rows, bytes = string.match(batch, '^(%d+) (%S+) (%S+) (%d+) (%d+)')
if cut ~= ARGV[3] then return 'lost' end
for _, entry in ipairs(redis.call('XRANGE', stream, '-', last)) do redis.call('UNLINK', p .. 'r:' .. shard .. ':' .. entry[1]) end
local ms, seq = string.match(last, '^(%d+)-(%d+)$')
redis.call('XTRIM', stream, 'MINID', ms .. '-' .. string.format('%d', seq + 1))
redis.call('LPOP', sealed)
redis.call('HSET', p .. 'trimmed', shard, last)
redis.call('HSET', p .. 'stored', shard, cut)
redis.call('HDEL', p .. 'inflight', shard)
redis.call('DEL', p .. 'splits:' .. shard .. ':' .. cut)
redis.call('HINCRBY', p .. 'journal', 'bytes', -bytes)
redis.call('HINCRBY', p .. 'journal', 'stored', rows - ARGV[4])
redis.call('HINCRBY', p .. 'journal', 'dead_lettered', ARGV[4])
return 'ok'`);

/**
 * instance, ms that it holds without a `tend`, ms for others to join, shards → "at CUT …": nothing is in flight, and these
 * are the newest stored cuts; "busy": inserts that began before are under way; "rest": writers have their turn first.
 */
export const openGate = defineScript(`${clock}
local gate = p .. 'gate'
redis.call('ZREMRANGEBYSCORE', gate, '-inf', now)
if not redis.call('ZSCORE', gate, ARGV[1]) then
  if redis.call('ZCARD', gate) == 0 then
    if redis.call('EXISTS', p .. 'gate-rest') == 1 then return 'rest' end
    redis.call('SET', p .. 'gate-since', now)
  elseif now - (redis.call('GET', p .. 'gate-since') or 0) > tonumber(ARGV[3]) then
    return 'rest'
  end
  redis.call('ZADD', gate, now + ARGV[2], ARGV[1])
end
if redis.call('HLEN', p .. 'inflight') > 0 then return 'busy' end
local stored = {}
for shard = 0, ARGV[4] - 1 do stored[#stored + 1] = redis.call('HGET', p .. 'stored', shard) or '0' end
return 'at ' .. table.concat(stored, ' ')`);

/**
 * instance, ms of rest at least, times the gate was held that the rest is at least, ms of rest at most → "held" when no insert can
 * have begun since it was opened, else "lost".
 */
export const closeGate = defineScript(`${clock}
local gate = p .. 'gate'
local deadline = redis.call('ZSCORE', gate, ARGV[1])
redis.call('ZREM', gate, ARGV[1])
if redis.call('ZCARD', gate) == 0 then
  local held = now - (redis.call('GET', p .. 'gate-since') or now)
  redis.call('SET', p .. 'gate-rest', 1, 'PX', math.max(ARGV[2], math.min(held * ARGV[3], ARGV[4])))
end
if deadline and tonumber(deadline) > now then return 'held' end
return 'lost'`);

/** key, instance, ms → "ours", "busy" (another request has it), or "a" and the answer it got. */
export const reserveKey = defineScript(`${clock}
local key = p .. 'key:' .. ARGV[1]
local held = redis.call('GET', key)
if not held or held == 'p' .. ARGV[2] then
  redis.call('SET', key, 'p' .. ARGV[2], 'PX', ARGV[3])
  return 'ours'
end
if string.sub(held, 1, 1) == 'a' then return held end
return 'busy'`);

/** key, instance: whoever asks next may have it. */
export const releaseKey = defineScript(`${clock}
local key = p .. 'key:' .. ARGV[1]
if redis.call('GET', key) == 'p' .. ARGV[2] then redis.call('DEL', key) end
return 'ok'`);
