package domain_test

import (
	"testing"

	"pgregory.net/rapid"

	"mpim/domain"
)

func TestPositionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := domain.Position{
			Partition: rapid.IntRange(0, domain.MaxPartitions-1).Draw(t, "partition"),
			Seq:       rapid.Int64Min(0).Draw(t, "seq"),
		}
		if got, err := domain.ParsePosition(p.String()); err != nil || got != p {
			t.Fatalf("%s was read as %s: %v", p, got, err)
		}
	})
}

func TestParsePositionRefuses(t *testing.T) {
	for _, text := range []string{"", "3", "3:", ":17", "3:-1", "-1:3", "256:1", "3:17:1", "a:b", "3: 17", "3:99999999999999999999"} {
		if p, err := domain.ParsePosition(text); domain.CodeOf(err) != domain.InvalidArgument {
			t.Errorf("%q was read as %s: %v", text, p, err)
		}
	}
}
