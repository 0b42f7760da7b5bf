package account_test

import (
	"strings"
	"testing"

	"mpim/domain"
	"mpim/domain/account"
)

func TestProfilesAreRefused(t *testing.T) {
	l := registered(t)
	for _, c := range []struct {
		command account.Command
		want    domain.Code
	}{
		{account.Update{Stamp: at(1), DisplayName: new(strings.Repeat("n", account.MaxDisplayName+1))}, domain.TooLarge},
		{account.Update{Stamp: at(1), DisplayName: new("a\nb")}, domain.InvalidArgument},
		{account.Update{Stamp: at(1), AvatarURL: new("data:text/html,x")}, domain.InvalidArgument},
		{account.Update{Stamp: at(1), Strangers: new("")}, domain.InvalidArgument},
		{account.Suspend{Stamp: at(1), Reason: strings.Repeat("r", account.MaxReason+1)}, domain.TooLarge},
		{account.ChangePassword{Stamp: at(1), Keep: "s1", Verified: "hash", PasswordHash: "new"}, domain.Unauthenticated},
	} {
		refuse(t, l, c.command, c.want)
	}
	nobody := newLog()
	for _, c := range []account.Command{
		account.Update{Stamp: at(1)},
		account.ResetPassword{Stamp: at(1), PasswordHash: "hash"},
		account.Suspend{Stamp: at(1)},
		account.Restore{Stamp: at(1)},
		account.Appoint{Stamp: at(1)},
	} {
		refuse(t, nobody, c, domain.NotFound)
	}
}

func TestAdministers(t *testing.T) {
	l := registered(t)
	if err := l.State().Administers(); domain.CodeOf(err) != domain.PermissionDenied {
		t.Errorf("anybody administers: %v", err)
	}
	give(t, l, account.Appoint{Stamp: at(1), Administrator: true})
	if err := l.State().Administers(); err != nil {
		t.Error(err)
	}
	give(t, l, account.Suspend{Stamp: at(2)})
	if err := l.State().Administers(); domain.CodeOf(err) != domain.PermissionDenied {
		t.Errorf("a suspended administrator: %v", err)
	}
	if err := newLog().State().Administers(); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("nobody administers: %v", err)
	}
}
