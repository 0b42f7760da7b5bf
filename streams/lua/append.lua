-- Appends a batch of commands to one partition: each command whole or not at all.
--
-- KEYS[1] {p}:log             the stream of events
-- KEYS[2] {p}:meta            id, epoch, complete, seq (the partition sequence)
-- KEYS[3] {p}:appender:<name> the last batch number of this appender and its result
-- KEYS[4] {p}:due             timers: name, due time in milliseconds
-- KEYS[5…] for each command in turn: {p}:agg:<id> and, where it has a request, {p}:idem:<n>
--
-- ARGV[1] log id   ARGV[2] epoch   ARGV[3] batch number   ARGV[4] highest partition sequence that was seen
-- ARGV[5] how long the result is kept, in milliseconds    ARGV[6…] for each command in turn, its form and what that announces:
--
-- The usual command has a request, one guard, which is on the version, and one event. Its form is the event's kind alone:
--   kind, version ('' for none), request field, request value, id, metadata, payload
-- Any other command begins with a form of two-byte big-endian counts, followed by the kind of each event:
--   form = requests (0 or 1), raises the version (0 or 1), takes sequences (0 or 1), holds pending sequences (0 or 1), timers
--          that fire (0 or 1), guards, fields set, fields deleted, timers, cancelled timers, events; kinds
--   request field and value; field and value of each guard ('' means absent); name and value of each field set; name of each
--   field deleted; name and time of each timer; name of each cancelled timer; name of the timer that fires;
--   id, metadata and payload of each event
--
-- A kind is '0' for an event without sequence, '1' with one, '2' for a message, '3' for one without whose payload holds a
-- pending sequence. Values of fields and names of timers may hold pending sequences too. Metadata lacks the sequences. A request value
-- is 6 bytes of time and 8 of content hash; the sequence of its first event is kept behind them.
--
-- Returns one word a command, separated by ';':
--   o<partition seq> <seq> <ordinal>  appended    d<partition seq> <seq> <time in ms>  appended before
--   c  same request, other content    s  what it was decided on has changed            g  the timer is gone
-- Errors: FORKED (Redis has less than was seen), FENCED (an older batch than the last), NOLOG (not this log, or another epoch of it),
-- CLOSED (it takes no appends now, or this is the script of another run of the server).
--
-- Before this text stands that of which run it is the script: local RUN.
--
-- It runs for every message, so it makes few calls (a write that tells whether it wrote needs no read), few tables and
-- few strings, and keeps numbers as the text they are stored as: formatting one costs as much as reading a hash.

local KEYS, ARGV, call = KEYS, ARGV, redis.call
local byte, format = string.byte, string.format
-- '%d' is twice as fast, where a C long has 64 bits.
local digits = format('%d', 4294967296) == '4294967296' and '%d' or '%.0f'

-- fence
local meta = call('HMGET', KEYS[2], 'id', 'epoch', 'complete', 'seq', 'run')
if meta[1] ~= ARGV[1] then
  return redis.error_reply('NOLOG holds log ' .. tostring(meta[1] or 'none'))
end
if meta[2] ~= ARGV[2] then
  return redis.error_reply('NOLOG is at epoch ' .. tostring(meta[2]))
end
if meta[3] ~= '1' or meta[5] ~= RUN then
  return redis.error_reply('CLOSED complete ' .. tostring(meta[3]) .. ', run ' .. tostring(meta[5]))
end
local number = tonumber(ARGV[3])
local kept = call('GET', KEYS[3])
if kept then
  local bar = string.find(kept, '|', 1, true)
  local last = tonumber(string.sub(kept, 1, bar - 1))
  if number == last then
    call('PEXPIRE', KEYS[3], ARGV[5])
    return string.sub(kept, bar + 1)
  elseif number < last then
    return redis.error_reply('FENCED last batch ' .. format(digits, last))
  elseif number > last + 1 then
    return redis.error_reply('FORKED last batch ' .. format(digits, last))
  end
elseif number ~= 1 then
  return redis.error_reply('FORKED no batch ' .. format(digits, number - 1))
end

-- fork check
local pseq = tonumber(meta[4] or '0')
if pseq < tonumber(ARGV[4]) then
  return redis.error_reply('FORKED at ' .. format(digits, pseq))
end
local before, pseqtext = pseq, format(digits, pseq)

-- An aggregate is the reply to its HMGET, read at first use and written once, at the end. False stands for an absent field.
-- NUMBERED and RAISED say what is to be written; FIELDS, SETS and DELETES are there where other fields matter.
local VERSION, SEQ, ORDINAL, KEY, NUMBERED, RAISED, FIELDS, SETS, DELETES = 1, 2, 3, 4, 5, 6, 7, 8, 9
local aggregates, known = {}, {}
local function read(key)
  local a = call('HMGET', key, 'v', 'seq', 'ord')
  a[KEY] = key
  known[key] = a
  aggregates[#aggregates + 1] = a
  return a
end

-- MessagePack strings: the names, and the heads of numbers by their length.
local PARTITION_SEQ, SEQUENCE, ORDINALS = '\173partition_seq', '\163seq', '\167ordinal'
local HEAD = { '\161', '\162', '\163', '\164', '\165', '\166', '\167', '\168', '\169', '\170', '\171', '\172', '\173', '\174', '\175', '\176' }

-- Appends one event. A seq is given where it takes one.
local function add(a, kind, seq, id, metadata, payload)
  pseq = pseq + 1
  pseqtext = format(digits, pseq)
  if seq then
    local ordinal = a[ORDINAL] or '0'
    if kind == '2' then ordinal = format(digits, ordinal + 1) end
    a[SEQ], a[ORDINAL], a[NUMBERED] = seq, ordinal, true
    metadata = metadata .. PARTITION_SEQ .. HEAD[#pseqtext] .. pseqtext ..
      SEQUENCE .. HEAD[#seq] .. seq .. ORDINALS .. HEAD[#ordinal] .. ordinal
  else
    metadata = metadata .. PARTITION_SEQ .. HEAD[#pseqtext] .. pseqtext
  end
  call('XADD', KEYS[1], '*', '_watermill_message_uuid', id, 'metadata', metadata, 'payload', payload)
end

-- What became of a request that is known.
local function again(first, value)
  if string.sub(first, 7, 14) ~= string.sub(value, 7, 14) then return 'c' end
  local time = 0
  for i = 1, 6 do time = time * 256 + byte(first, i) end
  return 'd' .. pseqtext .. ' ' .. string.sub(first, 15) .. ' ' .. format(digits, time)
end

local keyat, at = 4, 5

local function usual(kind)
  local idem = KEYS[keyat + 2]
  local a = known[KEYS[keyat + 1]] or read(KEYS[keyat + 1])
  keyat = keyat + 2
  local version, field, value = ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local id, metadata, payload = ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  at = at + 7

  if (a[VERSION] or '') ~= version then
    local first = call('HGET', idem, field)
    return first and again(first, value) or 's'
  end
  local seq = kind ~= '0' and format(digits, (a[SEQ] or 0) + 1)
  if call('HSETNX', idem, field, value .. (seq or '0')) == 0 then
    return again(call('HGET', idem, field), value)
  end
  add(a, kind, seq, id, metadata, payload)
  return 'o' .. pseqtext .. ' ' .. (seq or '0') .. ' ' .. (a[ORDINAL] or '0')
end

-- Says whether the guards in ARGV[from] and after hold. Fields that are not known yet are read in one call.
local function guarded(a, from, n)
  local fields = a[FIELDS]
  if not fields then
    fields = {}
    a[FIELDS] = fields
  end
  local wanted
  for i = from, from + 2 * n - 2, 2 do
    local name = ARGV[i]
    if name ~= 'v' and fields[name] == nil then
      wanted = wanted or {}
      wanted[#wanted + 1] = name
    end
  end
  if wanted then
    local values = call('HMGET', a[KEY], unpack(wanted))
    for i = 1, #wanted do fields[wanted[i]] = values[i] or '' end
  end
  for i = from, from + 2 * n - 2, 2 do
    local name, value = ARGV[i]
    if name == 'v' then value = a[VERSION] or '' else value = fields[name] end
    if value ~= ARGV[i + 1] then return false end
  end
  return true
end

-- Puts sequences in place of pending ones: the nth is what the nth event left the aggregate's sequence at.
local function settled(text, seqs)
  return (string.gsub(text, '\1(%d+)\1', function(n) return seqs[tonumber(n)] end))
end

-- Notes which fields of an aggregate change. Seqs are there where something holds pending sequences.
local function change(a, set, sets, delete, deletes, seqs)
  local fields, setting, deleting = a[FIELDS] or {}, a[SETS] or {}, a[DELETES] or {}
  a[FIELDS], a[SETS], a[DELETES] = fields, setting, deleting
  for i = set, set + 2 * sets - 2, 2 do
    local name, value = ARGV[i], ARGV[i + 1]
    if seqs then
      value = settled(value, seqs)
    end
    fields[name], setting[name], deleting[name] = value, value, nil
  end
  for i = delete, delete + deletes - 1 do
    local name = ARGV[i]
    fields[name], setting[name], deleting[name] = '', nil, true
  end
end

local function any(form)
  local _, requests, _, raises, _, numbered, _, pending, _, fires, g1, g2, s1, s2, d1, d2, t1, t2, c1, c2, e1, e2 = byte(form, 1, 22)
  local request = at + 2
  local guard, guards = request + 2 * requests, g1 * 256 + g2
  local set, sets = guard + 2 * guards, s1 * 256 + s2
  local delete, deletes = set + 2 * sets, d1 * 256 + d2
  local timer, timers = delete + deletes, t1 * 256 + t2
  local cancel, cancels = timer + 2 * timers, c1 * 256 + c2
  local fire = cancel + cancels
  local event, events = fire + fires, e1 * 256 + e2
  at = event + 3 * events - 1
  local key, idem = KEYS[keyat + 1], requests == 1 and KEYS[keyat + 2]
  keyat = keyat + 1 + requests

  local first = idem and call('HGET', idem, ARGV[request])
  if first then return again(first, ARGV[request + 1]) end
  local a = known[key] or read(key)
  if guards > 0 and not guarded(a, guard, guards) then return 's' end
  if fires == 1 and not call('ZSCORE', KEYS[4], ARGV[fire]) then return 'g' end

  local firstseq = numbered == 1 and format(digits, (a[SEQ] or 0) + 1) or '0'
  if idem then call('HSET', idem, ARGV[request], ARGV[request + 1] .. firstseq) end
  local seqs = pending == 1 and {}
  for i = 1, events do
    local kind = string.sub(form, 22 + i, 22 + i)
    local seq, payload = kind ~= '0' and kind ~= '3' and format(digits, (a[SEQ] or 0) + 1), ARGV[event + 2]
    if kind == '3' then payload = settled(payload, seqs) end
    add(a, kind, seq, ARGV[event], ARGV[event + 1], payload)
    event = event + 3
    if seqs then seqs[i] = a[SEQ] or '0' end
  end
  if sets > 0 or deletes > 0 then change(a, set, sets, delete, deletes, seqs) end
  if raises == 1 then
    a[VERSION], a[RAISED] = format(digits, (a[VERSION] or 0) + 1), true
  end
  for i = timer, timer + 2 * timers - 2, 2 do
    call('ZADD', KEYS[4], ARGV[i + 1], seqs and settled(ARGV[i], seqs) or ARGV[i])
  end
  for i = cancel, cancel + cancels + fires - 1 do call('ZREM', KEYS[4], ARGV[i]) end
  return 'o' .. pseqtext .. ' ' .. firstseq .. ' ' .. (a[ORDINAL] or '0')
end

local results, n, last = {}, 0, #ARGV
while at < last do
  local form = ARGV[at + 1]
  n = n + 1
  if #form == 1 then results[n] = usual(form) else results[n] = any(form) end
end

for i = 1, #aggregates do
  local a = aggregates[i]
  local key = a[KEY]
  if a[NUMBERED] then call('HSET', key, 'seq', a[SEQ], 'ord', a[ORDINAL]) end
  if a[RAISED] then call('HSET', key, 'v', a[VERSION]) end
  if a[SETS] then
    local list, length = {}, 0
    for name, value in pairs(a[SETS]) do
      list[length + 1], list[length + 2] = name, value
      length = length + 2
      if length == 1000 then
        call('HSET', key, unpack(list))
        list, length = {}, 0
      end
    end
    if length > 0 then call('HSET', key, unpack(list)) end
    for name in pairs(a[DELETES]) do call('HDEL', key, name) end
  end
end
if pseq > before then call('HSET', KEYS[2], 'seq', pseqtext) end

local result = table.concat(results, ';')
call('SET', KEYS[3], ARGV[3] .. '|' .. result, 'PX', ARGV[5])
return result
