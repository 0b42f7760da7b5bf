package domain_test

import (
	"encoding/json"
	"strings"
	"testing"

	"mpim/domain"
)

func TestRecipientsAreWrittenOneWay(t *testing.T) {
	for _, text := range []string{
		`"all"`, `{"users":["u1","u2"]}`, `{"conversation":"g1"}`, `{"conversation":"g1","roles":["owner","admin"]}`,
		`{"client":"ios"}`, `{"users":["u1"],"gateway":"g1","client":"ios"}`,
	} {
		var r domain.Recipients
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if again, err := json.Marshal(r); err != nil || string(again) != text {
			t.Errorf("%s was written again as %s, %v", text, again, err)
		}
		if err := r.Check(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{`"some"`, `{}`, `[]`, `1`, `{"users":"u1"}`, `{"roles":["owner"]}`} {
		var r domain.Recipients
		if err := json.Unmarshal([]byte(text), &r); err == nil {
			t.Errorf("%s was read as %+v", text, r)
		}
	}
}

func TestRecipientsAreChecked(t *testing.T) {
	for _, test := range []struct {
		to   domain.Recipients
		want domain.Code
	}{
		{domain.Recipients{Users: []domain.UserID{"u1"}, Conversation: "g1"}, domain.InvalidArgument},
		{domain.Recipients{Users: make([]domain.UserID, domain.MaxRecipients+1)}, domain.TooLarge},
		{domain.Recipients{Roles: []domain.Role{domain.Owner}}, domain.InvalidArgument},
		{domain.Recipients{Conversation: "g1", Roles: []domain.Role{"king"}}, domain.InvalidArgument},
		{domain.Recipients{Client: "a\nb"}, domain.InvalidArgument},
		{domain.Recipients{Gateway: strings.Repeat("g", 129)}, domain.TooLarge},
	} {
		if err := test.to.Check(); err == nil || domain.CodeOf(err) != test.want {
			t.Errorf("%+v: %v, want %s", test.to, err, test.want)
		}
	}
}

func TestRecipientsThatNameNobody(t *testing.T) {
	t.Parallel()
	for _, to := range []string{``, `{}`, `null`, `"some"`, `[]`, `{"users":["u"],"conversation":"g"}`, `{"users":["u"],"roles":["owner"]}`} {
		var r domain.Recipients
		if err := json.Unmarshal([]byte(to), &r); err == nil && r.Check() == nil {
			t.Errorf("%s is read as %+v", to, r)
		}
	}
}
