package domain_test

import (
	"slices"
	"testing"

	"mpim/domain"
)

func TestPersonal(t *testing.T) {
	of := domain.Aggregate{Kind: domain.Account, ID: "u1"}
	for _, test := range []struct {
		fact domain.Fact
		want []domain.UserID
	}{
		{&domain.AccountUpdated{}, []domain.UserID{"u1"}},
		{&domain.SettingsChanged{}, []domain.UserID{"u9"}},
		{&domain.ContactRequested{User: "u2"}, []domain.UserID{"u9", "u2"}},
		{&domain.ContactAccepted{User: "u2"}, []domain.UserID{"u9", "u2"}},
		{&domain.ContactDeclined{User: "u2"}, []domain.UserID{"u9", "u2"}},
		{&domain.ContactRemoved{User: "u2"}, []domain.UserID{"u9", "u2"}},
		{&domain.ContactRemarked{User: "u2"}, []domain.UserID{"u9"}},
		{&domain.UserBlocked{User: "u2"}, []domain.UserID{"u9"}},
		{&domain.UserUnblocked{User: "u2"}, []domain.UserID{"u9"}},
		{&domain.AccountPasswordChanged{}, nil},
		{&domain.MessageSent{}, nil},
	} {
		if got := domain.Personal(of, "u9", test.fact); !slices.Equal(got, test.want) {
			t.Errorf("%s is personal to %v, want %v", test.fact.EventType(), got, test.want)
		}
	}
}
