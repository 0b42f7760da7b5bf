package conversation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
)

// What is stored must read the same for ever: lines may be added here, but never changed.
func TestStoredFormsNeverChange(t *testing.T) {
	muted := time.UnixMilli(1767323105678).UTC()
	for _, test := range []struct {
		field, value string
		want         conversation.State
	}{
		{
			field: "h",
			value: `{"kind":"group","created_at":1767323045678,"title":"Tea","join":"invite","member_count":3}`,
			want: conversation.State{Header: conversation.Header{
				Kind: domain.GroupConversation, CreatedAt: start, Title: "Tea", Join: conversation.Invite, MemberCount: 3,
			}},
		},
		{
			field: "h",
			value: `{"kind":"group","created_at":1767323045678,"title":"Tea","avatar_url":"https://a.example/1","announcement":"news",` +
				`"join":"open","history":"all","muted":true,"member_count":0}`,
			want: conversation.State{Header: conversation.Header{
				Kind: domain.GroupConversation, CreatedAt: start, Title: "Tea", AvatarURL: "https://a.example/1",
				Announcement: "news", Join: conversation.Open, History: "all", Muted: true,
			}},
		},
		{
			field: "h",
			value: `{"kind":"direct","created_at":1767323045678,"users":["u1","u2"],"member_count":2}`,
			want: conversation.State{Header: conversation.Header{
				Kind: domain.DirectConversation, CreatedAt: start, Users: []domain.UserID{"u1", "u2"}, MemberCount: 2,
			}},
		},
		{
			field: "m:u1", value: "owner;;1-",
			want: members("u1", conversation.Member{Role: domain.Owner, Windows: domain.Windows{{From: 1}}}),
		},
		{
			field: "m:u1", value: "member;1767323105678;3-17,42-50",
			want: members("u1", conversation.Member{
				Role: domain.Member, MutedUntil: muted, Windows: domain.Windows{{From: 3, To: 17}, {From: 42, To: 50}},
			}),
		},
		{
			field: "m:u1", value: "admin;;\x012\x01-",
			want: members("u1", conversation.Member{Role: domain.Admin, Windows: domain.Windows{{From: domain.Pending(1)}}}),
		},
		{
			field: "c:u1", value: "12 9",
			want: progress("u1", conversation.Cursors{Delivered: 12, Read: 9}),
		},
		{
			field: "c:u1", value: "12 9 s1=12 s2=7",
			want: progress("u1", conversation.Cursors{
				Delivered: 12, Read: 9, Acknowledged: map[domain.SessionID]domain.Seq{"s2": 7, "s1": 12},
			}),
		},
	} {
		if value, present := conversation.Store(test.want, test.field); !present || value != test.value {
			t.Errorf("%+v is stored as %q, want %q", test.want, value, test.value)
		}
		if strings.Contains(test.value, "\x01") {
			continue // the append script puts a number there before anybody reads it
		}
		got, err := conversation.Load(domain.Fields{test.field: test.value})
		if err != nil || fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%q was read as %+v, %v, want %+v", test.value, got, err, test.want)
		}
	}
}

func members(user domain.UserID, m conversation.Member) conversation.State {
	return conversation.State{Members: map[domain.UserID]conversation.Member{user: m}}
}

func progress(user domain.UserID, c conversation.Cursors) conversation.State {
	return conversation.State{Progress: map[domain.UserID]conversation.Cursors{user: c}}
}

func TestLoad(t *testing.T) {
	s, err := conversation.Load(domain.Fields{"h": "", "v": "7", "seq": "12", "something": "newer"})
	if err != nil || s.Exists() || s.Head != 12 {
		t.Errorf("got %+v, %v", s, err)
	}
	for _, damaged := range []struct{ field, value string }{
		{"h", "{"},
		{"m:u", "member"},
		{"m:u", "member;x;1-"},
		{"m:u", "member;;x"},
		{"c:u", "1"},
		{"c:u", "x 1"},
		{"c:u", "1 x"},
		{"c:u", "1 1 s1"},
		{"c:u", "1 1 s1=-1"},
	} {
		if _, err := conversation.Load(domain.Fields{damaged.field: damaged.value}); err == nil {
			t.Errorf("%s = %q was read", damaged.field, damaged.value)
		}
	}
	for _, field := range []string{"h", "m:u", "c:u", "v"} {
		if value, present := conversation.Store(conversation.State{}, field); present {
			t.Errorf("%s of nothing is %q", field, value)
		}
	}
}
