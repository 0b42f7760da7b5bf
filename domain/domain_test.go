package domain_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mpim/domain"
)

func TestCheckText(t *testing.T) {
	for _, test := range []struct {
		text string
		want domain.Code
	}{
		{"", ""},
		{"abc", ""},
		{"安安安", ""},
		{"abcd", domain.TooLarge},
		{"安安安安", domain.TooLarge},
		{"a\x00b", domain.InvalidArgument},
		{"a\xff", domain.InvalidArgument},
	} {
		err := domain.CheckText("title", test.text, 3)
		if (err == nil) != (test.want == "") || err != nil && domain.CodeOf(err) != test.want {
			t.Errorf("%q: got %v, want %q", test.text, err, test.want)
		}
	}
	if err := domain.CheckText("text", strings.Repeat("a", 1000), 0); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}

func TestStampIsWhatEventsKeep(t *testing.T) {
	zone := time.FixedZone("east", 3600)
	s := domain.NewStamp("u", time.Date(2026, 1, 2, 4, 4, 5, 678_999_999, zone))
	if want := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC); s.At != want || s.By() != s {
		t.Errorf("got %v, want %v", s.At, want)
	}
}

func TestFields(t *testing.T) {
	f := domain.Fields{"seq": "17", "bad": "x"}
	if f.Int("seq") != 17 || f.Int("bad") != 0 || f.Int("none") != 0 {
		t.Errorf("got %d, %d, %d", f.Int("seq"), f.Int("bad"), f.Int("none"))
	}
	for field, want := range map[string]bool{"c:u": true, "k:c": true, "q:t": true, "h": false, "m:u": false, "s:s": false, "v": false} {
		if domain.Free(field) != want {
			t.Errorf("%s is free: %v", field, !want)
		}
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("broken pipe")
	err := fmt.Errorf("append: %w", domain.Wrap(domain.Unavailable, cause, "try again"))
	if domain.CodeOf(err) != domain.Unavailable || !errors.Is(err, cause) || err.Error() != "append: try again: broken pipe" {
		t.Errorf("got %v of kind %s", err, domain.CodeOf(err))
	}
	if domain.CodeOf(cause) != domain.Internal {
		t.Errorf("an unknown error is %s", domain.CodeOf(cause))
	}
}
