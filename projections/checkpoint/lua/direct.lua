-- Does writes that no event stands behind.
--
-- KEYS what is written, with the same tag    ARGV writes; see ops.lua
local i = 1
while i <= #ARGV do
  i = run(i)
end
return ''
