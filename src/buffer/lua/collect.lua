-- The dirty fields of some buckets of one entity.
-- KEYS: 1 failed, then the buckets
-- Returns an array a bucket: its dirty fields

local has_parked = redis.call('HLEN', KEYS[1]) > 0
local found = {}
for i = 2, #KEYS do
  if not has_parked then
    found[i - 1] = redis.call('HKEYS', KEYS[i])
  else
    local fields = {}
    local flat = redis.call('HGETALL', KEYS[i])
    for j = 1, #flat, 2 do
      if read_state(flat[j + 1]) == 0 then fields[#fields + 1] = flat[j] end
    end
    found[i - 1] = fields
  end
end
return found
