package domain_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"mpim/domain"
)

func TestWindows(t *testing.T) {
	twice := domain.Windows{{From: 3, To: 17}, {From: 42}}
	gone := domain.Windows{{From: 3, To: 17}}
	for _, test := range []struct {
		name         string
		windows      domain.Windows
		wantText     string
		wantOpen     bool
		wantJoined   domain.Seq
		wantLast     domain.Seq // at head 50
		wantSees     []domain.Seq
		wantSeesNone []domain.Seq
	}{
		{name: "never a member", wantSeesNone: []domain.Seq{0, 1, 50}},
		{
			name: "a member again", windows: twice, wantText: "3-17,42-", wantOpen: true, wantJoined: 42, wantLast: 50,
			wantSees: []domain.Seq{3, 17, 42, 50}, wantSeesNone: []domain.Seq{0, 2, 18, 41},
		},
		{
			name: "gone", windows: gone, wantText: "3-17", wantJoined: 3, wantLast: 17,
			wantSees: []domain.Seq{3, 17}, wantSeesNone: []domain.Seq{2, 18, 50},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			ws := test.windows
			if ws.String() != test.wantText || ws.Open() != test.wantOpen || ws.Joined() != test.wantJoined || ws.Last(50) != test.wantLast {
				t.Errorf("got %q, open %v, joined at %d, up to %d", ws, ws.Open(), ws.Joined(), ws.Last(50))
			}
			for _, seq := range test.wantSees {
				if !ws.Contains(seq) {
					t.Errorf("%d is hidden", seq)
				}
			}
			for _, seq := range test.wantSeesNone {
				if ws.Contains(seq) {
					t.Errorf("%d is seen", seq)
				}
			}
		})
	}
}

func TestWindowsAbove(t *testing.T) {
	ws := domain.Windows{{From: 3, To: 17}, {From: 42}}
	for _, test := range []struct {
		seq, head domain.Seq
		want      string
	}{
		{0, 50, "3-17,42-50"},
		{17, 50, "42-50"},
		{10, 50, "11-17,42-50"},
		{45, 50, "46-50"},
		{50, 50, ""},
		{0, 5, "3-5"},
	} {
		if got := ws.Above(test.seq, test.head).String(); got != test.want {
			t.Errorf("above %d, up to %d: got %q, want %q", test.seq, test.head, got, test.want)
		}
	}
}

// Opening and closing in turn never makes windows that overlap, leaves those it was given alone, and comes back from
// its text and its JSON.
func TestWindowsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ws domain.Windows
		seq := domain.Seq(0)
		for range rapid.IntRange(0, 20).Draw(t, "changes") {
			seq += domain.Seq(rapid.IntRange(1, 5).Draw(t, "gap"))
			before, text := ws, ws.String()
			open := rapid.Bool().Draw(t, "open")
			if open {
				ws = ws.Opened(seq)
			} else {
				ws = ws.Closed(seq)
			}
			if before.String() != text {
				t.Fatalf("%s became %s", text, before)
			}
			if open != ws.Open() && len(ws) > 0 {
				t.Fatalf("%s: open is %v", ws, ws.Open())
			}
		}
		again, err := domain.ParseWindows(ws.String())
		if err != nil || !reflect.DeepEqual(again, ws) {
			t.Fatalf("%s was read as %s: %v", ws, again, err)
		}
		text, err := json.Marshal(ws)
		if err != nil {
			t.Fatal(err)
		}
		again = nil
		if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(again, ws) {
			t.Fatalf("%s was read as %s: %v", text, again, err)
		}
	})
}

func TestWindowJSON(t *testing.T) {
	text, err := json.Marshal(domain.Windows{{From: 3, To: 17}, {From: 42}})
	if err != nil || string(text) != "[[3,17],[42,0]]" {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestParseWindowsRefuses(t *testing.T) {
	for _, text := range []string{
		"3", "-", "3-2", "0-1", "-1-2", "a-b", "3-,4-", "3-5,5-7", "7-9,3-4", "3-5,", ",", "\x011\x01-", " 3-",
	} {
		if ws, err := domain.ParseWindows(text); err == nil {
			t.Errorf("%q was read as %s", text, ws)
		}
	}
}

func TestPendingWindows(t *testing.T) {
	ws := domain.Windows{{From: 3, To: 17}}.Opened(domain.Pending(2))
	if got, want := ws.String(), "3-17,\x013\x01-"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !ws.Open() {
		t.Error("a window that opens with this commit is not open")
	}
	if got, want := ws.Closed(domain.Pending(4)).String(), "3-17,\x013\x01-\x015\x01"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Two futures of the same windows do not write over each other.
func TestWindowsAreNotShared(t *testing.T) {
	roomy := append(make(domain.Windows, 0, 8), domain.Window{From: 3, To: 17})
	one, other := roomy.Opened(20), roomy.Opened(30)
	if one.String() != "3-17,20-" || other.String() != "3-17,30-" {
		t.Errorf("got %s and %s", one, other)
	}
}
