-- The dirty fields of some buckets of one entity.
-- KEYS: buckets
-- Returns an array a bucket: its dirty fields

local found = {}
for i, bucket in ipairs(KEYS) do
  local fields = {}
  local pairs_flat = redis.call('HGETALL', bucket)
  for j = 1, #pairs_flat, 2 do
    if read_state(pairs_flat[j + 1]) == 0 then fields[#fields + 1] = pairs_flat[j] end
  end
  found[i] = fields
end
return found
