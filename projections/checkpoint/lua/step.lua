-- Applies a step of a projection and moves its checkpoint, if it stands where the step begins.
--
-- KEYS[1] {p}:checkpoint:<projection>    KEYS[2…] what is written, with the same tag
--
-- ARGV[1] sequence that the checkpoint must have    ARGV[2] token that it must have
-- ARGV[3] sequence and ARGV[4] stream id it gets    ARGV[5] time of the last event and ARGV[6] of now, in milliseconds
-- ARGV[7…] writes; see ops.lua
--
-- Returns '', or, where the checkpoint has other values, its sequence and token. The checkpoint is written last: a
-- command that fails ends the script but undoes nothing, and the step is then run again.
local kept = redis.call('HMGET', KEYS[1], 'seq', 'token')
local seq, token = kept[1] or '0', kept[2] or ''
if seq ~= ARGV[1] or token ~= ARGV[2] then
  return seq .. ' ' .. token
end
local i = 7
while i <= #ARGV do
  i = run(i)
end
redis.call('HSET', KEYS[1], 'seq', ARGV[3], 'id', ARGV[4], 'at', ARGV[5], 'updated', ARGV[6])
return ''
