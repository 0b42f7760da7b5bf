-- Appends a batch of commands to one partition: each command whole or not at all.
--
-- KEYS[1] {p}:log             the stream of events
-- KEYS[2] {p}:meta            id, epoch, complete, seq (the partition sequence)
-- KEYS[3] {p}:appender:<name> the last batch number of this appender and its result
-- KEYS[4] {p}:due             timers: name, due time in milliseconds
-- KEYS[5…] {p}:agg:<id> and {p}:idem:<n>, each once; commands name them by their index
--
-- ARGV[1] log id   ARGV[2] epoch   ARGV[3] batch number   ARGV[4] highest partition sequence that was seen
-- ARGV[5] how long the result is kept, in milliseconds    ARGV[6] number of commands, then for each:
--   aggregate's index in KEYS
--   index of the idempotency sub-hash in KEYS, 0 for none; where it is not 0: field, content hash, time (6 bytes)
--   number of guards, then field and value of each ('' means absent)
--   '1' where the command raises the version, else '0'
--   number of fields set, then name and value of each; number of fields deleted, then the name of each
--   number of timers, then name and time of each; number of timers cancelled, then the name of each
--   name of the timer that fires, or ''
--   number of events, then of each: id, metadata without sequences, kind ('0' no sequence, '1' sequence, '2' message), payload
--
-- Returns one word a command, separated by ';':
--   o <partition seq> <seq> <ordinal>  appended    d <partition seq> <seq> <time in ms>  appended before
--   c  same request, other content     s  what it was decided on has changed             g  the timer is gone
-- Errors: FORKED (Redis has less than was seen), FENCED (an older batch than the last), NOLOG (not this log).

local function integer(n) return string.format('%.0f', n) end

-- fence
local meta = redis.call('HMGET', KEYS[2], 'id', 'epoch', 'complete', 'seq')
if meta[1] ~= ARGV[1] then
  return redis.error_reply('NOLOG holds log ' .. tostring(meta[1] or 'none'))
end
if meta[2] ~= ARGV[2] or meta[3] ~= '1' then
  return redis.error_reply('NOLOG is at epoch ' .. tostring(meta[2]) .. ', complete ' .. tostring(meta[3]))
end
local number = tonumber(ARGV[3])
local kept = redis.call('GET', KEYS[3])
if kept then
  local bar = string.find(kept, '|', 1, true)
  local last = tonumber(string.sub(kept, 1, bar - 1))
  if number == last then
    redis.call('PEXPIRE', KEYS[3], ARGV[5])
    return string.sub(kept, bar + 1)
  elseif number < last then
    return redis.error_reply('FENCED last batch ' .. integer(last))
  elseif number > last + 1 then
    return redis.error_reply('FORKED last batch ' .. integer(last))
  end
elseif number ~= 1 then
  return redis.error_reply('FORKED no batch ' .. integer(number - 1))
end

-- fork check
local pseq = tonumber(meta[4] or '0')
if pseq < tonumber(ARGV[4]) then
  return redis.error_reply('FORKED at ' .. integer(pseq))
end

local at = 6
local function nextarg()
  at = at + 1
  return ARGV[at]
end
local function nextlist(width)
  local list = {}
  local n = tonumber(nextarg()) * width
  for i = 1, n do list[i] = ARGV[at + i] end
  at = at + n
  return list
end

-- Aggregates are read at first use and written once, at the end.
local aggregates = {}
local function aggregate(index, guards)
  local a = aggregates[index]
  if not a then
    a = { fields = {}, sets = {}, dels = {} }
    aggregates[index] = a
  end
  local wanted = {}
  if not a.seq then wanted = { 'seq', 'ord', 'v' } end
  for i = 1, #guards, 2 do
    local name = guards[i]
    if a.fields[name] == nil and (a.seq or name ~= 'v') then wanted[#wanted + 1] = name end
  end
  if #wanted > 0 then
    local values = redis.call('HMGET', KEYS[index], unpack(wanted))
    for i = 1, #wanted do a.fields[wanted[i]] = values[i] or '' end
  end
  if not a.seq then
    a.seq = tonumber(a.fields.seq) or 0
    a.ord = tonumber(a.fields.ord) or 0
  end
  return a
end

local function setfield(a, name, value)
  a.fields[name] = value
  a.sets[name] = value
  a.dels[name] = nil
end

-- Six big-endian bytes, so a sequence of a conversation has room for 2^48.
local function pack(n)
  local bytes = {}
  for i = 6, 1, -1 do
    bytes[i] = string.char(n % 256)
    n = math.floor(n / 256)
  end
  return table.concat(bytes)
end
local function unpack6(s, from)
  local n = 0
  for i = from, from + 5 do n = n * 256 + string.byte(s, i) end
  return n
end

-- A MessagePack string of fewer than 32 bytes.
local function short(s) return string.char(160 + #s) .. s end

local function guarded(a, guards)
  for i = 1, #guards, 2 do
    if a.fields[guards[i]] ~= guards[i + 1] then return false end
  end
  return true
end

local function appendevents(a)
  local seqs, firstseq = {}, 0
  for i = 1, tonumber(nextarg()) do
    local id, metadata, kind, payload = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    at = at + 4
    pseq = pseq + 1
    metadata = metadata .. short('partition_seq') .. short(integer(pseq))
    if kind ~= '0' then
      a.seq = a.seq + 1
      if kind == '2' then a.ord = a.ord + 1 end
      a.numbered = true
      if firstseq == 0 then firstseq = a.seq end
      metadata = metadata .. short('seq') .. short(integer(a.seq)) .. short('ordinal') .. short(integer(a.ord))
    end
    seqs[i] = integer(a.seq)
    redis.call('XADD', KEYS[1], '*', '_watermill_message_uuid', id, 'metadata', metadata, 'payload', payload)
  end
  return seqs, firstseq
end

local function skipevents()
  local n = tonumber(nextarg())
  at = at + 4 * n
end

local function due(timers, cancels, fires)
  for i = 1, #timers, 2 do redis.call('ZADD', KEYS[4], timers[i + 1], timers[i]) end
  for i = 1, #cancels do redis.call('ZREM', KEYS[4], cancels[i]) end
  if fires ~= '' then redis.call('ZREM', KEYS[4], fires) end
end

local function changestate(a, raises, sets, dels, seqs)
  for i = 1, #sets, 2 do
    local value = sets[i + 1]
    if string.find(value, '\1', 1, true) then
      value = string.gsub(value, '\1(%d+)\1', function(n) return seqs[tonumber(n)] end)
    end
    setfield(a, sets[i], value)
  end
  for i = 1, #dels do
    a.fields[dels[i]] = ''
    a.sets[dels[i]] = nil
    a.dels[dels[i]] = true
  end
  if raises == '1' then
    setfield(a, 'v', integer((tonumber(a.fields.v) or 0) + 1))
  end
end

local function command()
  local index = tonumber(nextarg())
  local idem, field, content, time = tonumber(nextarg()), '', '', ''
  if idem > 0 then field, content, time = nextarg(), nextarg(), nextarg() end
  local guards = nextlist(2)
  local raises = nextarg()
  local sets, dels, timers, cancels = nextlist(2), nextlist(1), nextlist(2), nextlist(1)
  local fires = nextarg()

  if idem > 0 then
    local first = redis.call('HGET', KEYS[idem], field)
    if first then
      skipevents()
      if string.sub(first, 13) ~= content then return 'c' end
      return 'd ' .. integer(pseq) .. ' ' .. integer(unpack6(first, 1)) .. ' ' .. integer(unpack6(first, 7))
    end
  end
  local a = aggregate(index, guards)
  if not guarded(a, guards) then
    skipevents()
    return 's'
  end
  if fires ~= '' and not redis.call('ZSCORE', KEYS[4], fires) then
    skipevents()
    return 'g'
  end

  local seqs, firstseq = appendevents(a)
  if idem > 0 then redis.call('HSET', KEYS[idem], field, pack(firstseq) .. time .. content) end
  changestate(a, raises, sets, dels, seqs)
  due(timers, cancels, fires)
  return 'o ' .. integer(pseq) .. ' ' .. integer(firstseq) .. ' ' .. integer(a.ord)
end

local results = {}
local before = pseq
for i = 1, tonumber(ARGV[6]) do results[i] = command() end

for index, a in pairs(aggregates) do
  if a.numbered then
    a.sets.seq = integer(a.seq)
    a.sets.ord = integer(a.ord)
  end
  local pairlist = {}
  for name, value in pairs(a.sets) do
    pairlist[#pairlist + 1] = name
    pairlist[#pairlist + 1] = value
    if #pairlist >= 1000 then
      redis.call('HSET', KEYS[index], unpack(pairlist))
      pairlist = {}
    end
  end
  if #pairlist > 0 then redis.call('HSET', KEYS[index], unpack(pairlist)) end
  for name in pairs(a.dels) do redis.call('HDEL', KEYS[index], name) end
end
if pseq > before then redis.call('HSET', KEYS[2], 'seq', integer(pseq)) end

local result = table.concat(results, ';')
redis.call('SET', KEYS[3], ARGV[3] .. '|' .. result, 'PX', ARGV[5])
return result
