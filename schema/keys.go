package schema

import (
	"math/bits"
	"sync"

	"mpim/domain"
)

// PartitionKey returns a Redis key that lives with the given partition: its tag in braces, a colon, the name. All
// that an append touches has the same tag, so one script reaches it in Redis Cluster.
func PartitionKey(partition int, name string) string {
	return "{" + PartitionTag(partition) + "}:" + name
}

// PartitionTag returns the hash tag of a partition: "p", two digits at least, and a suffix that puts it where it
// belongs on the ring of slots. It is part of every key and can never change.
func PartitionTag(partition int) string { return partitionTags()[partition] }

// Slots is the number of hash slots of Redis Cluster.
const Slots = 16384

// partitionTags spreads the partitions over the ring by the van der Corput sequence, which is even for any count: the
// slots of the first 16 are 1,024 apart, so 1, 3 or 6 masters get as many as any other to within one.
var partitionTags = sync.OnceValue(func() []string {
	tags := make([]string, domain.MaxPartitions)
	const width = Slots / domain.MaxPartitions
	for n := range tags {
		low := int(bits.Reverse8(uint8(n))) * width
		name := []byte{'p', byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)}
		if n < 100 {
			name = []byte{'p', byte('0' + n/10), byte('0' + n%10)}
		}
		for i := 0; ; i++ {
			tag := string(append(name, suffix(i)...))
			if slot := slotOf(tag); slot >= low && slot < low+width {
				tags[n] = tag
				break
			}
		}
	}
	return tags
})

// suffix counts in letters: a, b, …, z, ba, bb, ….
func suffix(i int) string {
	s := string(rune('a' + i%26))
	if i < 26 {
		return s
	}
	return suffix(i/26) + s
}

// slotOf returns the hash slot of a tag: CRC-16/XMODEM modulo Slots, as in the Redis Cluster specification
// (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
func slotOf(tag string) int {
	var crc uint16
	for _, c := range []byte(tag) {
		crc ^= uint16(c) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % Slots
}
