package schema_test

import (
	"strings"
	"testing"

	"mpim/schema"
)

// The tags are part of every stored key: this list can never change.
func TestPartitionTagsNeverChange(t *testing.T) {
	const want = "p00nc p01ci p02dn p03fe p04bn p05od p06gb p07ei p08eh p09c p10on p11bd p12bn p13od p14cc p15ni"
	var tags []string
	for n := range 16 {
		tags = append(tags, schema.PartitionTag(n))
	}
	if got := strings.Join(tags, " "); got != want {
		t.Errorf("tags are %q, want %q", got, want)
	}
}
