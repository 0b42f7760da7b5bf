-- Applies a step of a projection and moves its checkpoint, if it stands where the step begins.
--
-- KEYS[1] {p}:checkpoint:<projection>    KEYS[2…] what is written, with the same tag
--
-- ARGV[1] sequence that the checkpoint must have    ARGV[2] token that it must have
-- ARGV[3] sequence and ARGV[4] stream id it gets    ARGV[5] time of the last event and ARGV[6] of now, in milliseconds
-- ARGV[7] who may write while the build is held still; '' for nobody
-- ARGV[8] how many checks there are, each the index of a key, SISMEMBER or HEXISTS, and what has to be in it
-- behind them: writes; see ops.lua
--
-- Returns '', or, where the checkpoint has other values, its sequence and token; 'held' where somebody else holds the build
-- still, and 'gone' where a check fails. The checkpoint is written last: a command that fails ends the script but undoes
-- nothing, and the step is then run again.
local kept = redis.call('HMGET', KEYS[1], 'seq', 'token', 'hold')
local seq, token = kept[1] or '0', kept[2] or ''
if seq ~= ARGV[1] or token ~= ARGV[2] then
  return seq .. ' ' .. token
end
if kept[3] then
  local till, who = string.match(kept[3], '^(%d+) (.*)$')
  local t = redis.call('TIME')
  if who ~= ARGV[7] and tonumber(till) > tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000 then
    return 'held'
  end
end
local i = 9
for _ = 1, tonumber(ARGV[8]) do
  if redis.call(ARGV[i + 1], KEYS[tonumber(ARGV[i])], ARGV[i + 2]) == 0 then
    return 'gone'
  end
  i = i + 3
end
while i <= #ARGV do
  i = run(i)
end
redis.call('HSET', KEYS[1], 'seq', ARGV[3], 'id', ARGV[4], 'at', ARGV[5], 'updated', ARGV[6])
return ''
