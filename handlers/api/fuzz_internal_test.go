package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"mpim/domain"
)

// decodedInputs are parameters of operations in all the forms that members have: ids, optional numbers, objects within
// objects, texts of any shape, arrays, maps and what reads itself.
var decodedInputs = []reflect.Type{
	reflect.TypeFor[registerInput](), reflect.TypeFor[loginInput](), reflect.TypeFor[accountUpdateInput](),
	reflect.TypeFor[contactRequestInput](), reflect.TypeFor[conversationListInput](), reflect.TypeFor[editInput](),
	reflect.TypeFor[groupCreateInput](), reflect.TypeFor[groupUpdateInput](), reflect.TypeFor[groupMuteInput](),
	reflect.TypeFor[historyInput](), reflect.TypeFor[noticePublishInput](), reflect.TypeFor[presenceGetInput](),
	reflect.TypeFor[reactInput](), reflect.TypeFor[receiptInput](), reflect.TypeFor[scheduleInput](),
	reflect.TypeFor[sendInput](), reflect.TypeFor[settingsInput](), reflect.TypeFor[syncInput](),
}

// FuzzBodies decodes any text as the parameters of an operation: what is refused blames the caller, and what is taken
// says the same when it is written and read again.
func FuzzBodies(f *testing.F) {
	for i, seed := range []string{
		``, ` {} `, `{"to":{"user":"u"},"client_id":"1","body":{"type":"text","text":"hello"}}`,
		`{"to":{"conversation":"g"},"client_id":"1","body":{"type":"custom","data":{"a":[1,2.50,"\u2028"]}},"mentions":"all","reply_to":3}`,
		`{"conversation":"g","seq":2,"body":{"type":"file","url":"https://a.example/","name":"n","size":9,"mime":"a/b"}}`,
		`{"since":{"g":1},"only":true,"user_seq":0,"epoch":"1","limit":20,"after":"x","after_position":"0:1"}`,
		`{"title":"t","members":["u","v"],"join":"open"}`, `{"conversation":"g","user":"u","until":null}`,
		`{"title":"t","text":"x","to":{"users":["u"]},"priority":"high"}`, `{"title":"t","text":"x","to":"all"}`,
		`{"to":{"user":"u"},"client_id":"1","body":{"type":"text","text":"x"},"deliver_at":"2026-01-02T03:04:05+09:00"}`,
		`{"username":"ann","password":"\u0000"}`, `{"conversation":"g","read_seq":1e3}`, `{"pinned":null}`, "{\"title\":\"\xff\"}",
	} {
		f.Add(uint8(i), seed)
		f.Add(uint8(15), seed)
	}
	f.Fuzz(func(t *testing.T, which uint8, params string) {
		kind := decodedInputs[int(which)%len(decodedInputs)]
		first := reflect.New(kind)
		if err := decode(json.RawMessage(params), first.Interface()); err != nil {
			if domain.CodeOf(err) != domain.InvalidArgument {
				t.Errorf("%s %q: %v", kind.Name(), params, err)
			}
			return
		}
		written, err := Encode(first.Interface())
		if err != nil {
			t.Fatalf("%s %q: %v", kind.Name(), params, err)
		}
		second := reflect.New(kind)
		if err := decode(written, second.Interface()); err != nil {
			t.Fatalf("%s %q is written as %s: %v", kind.Name(), params, written, err)
		}
		if again, err := Encode(second.Interface()); err != nil || !bytes.Equal(again, written) {
			t.Errorf("%s %q is written as %s, then as %s, %v", kind.Name(), params, written, again, err)
		}
	})
}

// FuzzPlaces reads any text as the next of a page of conversations: what is refused blames the caller, and what is one
// stands for the same places when it is written again.
func FuzzPlaces(f *testing.F) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	for _, seed := range []string{
		"", "!", token(place{at: at, id: "g1"}), token(place{pinned: true, at: at, id: "d1"}),
		token(place{at: at, id: "g1"}, place{pinned: true, at: at.Add(-time.Hour), id: ""}),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for n := 1; n <= 2; n++ {
			places, err := parseToken(s, n)
			if err != nil {
				if domain.CodeOf(err) != domain.InvalidArgument {
					t.Errorf("%q: %v", s, err)
				}
				continue
			}
			again, err := parseToken(token(places...), n)
			if err != nil || !reflect.DeepEqual(again, places) {
				t.Errorf("%q is %v, then %v, %v", s, places, again, err)
			}
		}
	})
}

// FuzzPositionTokens reads any text as a position that was answered: what is refused blames the caller, and what is one
// names places that there are, the same when it is written again.
func FuzzPositionTokens(f *testing.F) {
	const partitions = 16
	o := &Operations{Config: Config{Placement: domain.Placement{Partitions: partitions}}}
	for _, seed := range []string{"", "0:0", "3:17", "3:17,15:9223372036854775807", "16:1", "3:17,", ",", "1:-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		positions, err := o.parsePosition(s)
		if err != nil {
			if domain.CodeOf(err) != domain.InvalidArgument {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if len(positions) > partitions {
			t.Errorf("%q is %d positions", s, len(positions))
		}
		for _, p := range positions {
			if p.Partition < 0 || p.Partition >= partitions || p.Seq < 0 {
				t.Errorf("%q names %v", s, p)
			}
		}
		if again, err := o.parsePosition(positionToken(positions...)); err != nil || !reflect.DeepEqual(again, positions) {
			t.Errorf("%q is %v, then %v, %v", s, positions, again, err)
		}
	})
}
