package account_test

import (
	"strings"
	"testing"

	"mpim/domain"
	"mpim/domain/account"
)

func TestRegister(t *testing.T) {
	for _, test := range []struct {
		name     string
		give     account.Register
		want     account.Profile
		wantCode domain.Code
	}{
		{
			name: "the name is folded and serves as display name",
			give: account.Register{Username: "Ann.B_c-9"},
			want: account.Profile{Username: "ann.b_c-9", DisplayName: "ann.b_c-9"},
		},
		{
			name: "a display name is kept, without the space around it",
			give: account.Register{Username: "ann", DisplayName: " Ann 安 "},
			want: account.Profile{Username: "ann", DisplayName: "Ann 安"},
		},
		{
			name: "64 characters, whatever their bytes",
			give: account.Register{Username: "ann", DisplayName: strings.Repeat("安", 64)},
			want: account.Profile{Username: "ann", DisplayName: strings.Repeat("安", 64)},
		},
		{name: "too short", give: account.Register{Username: "an"}, wantCode: domain.InvalidArgument},
		{name: "empty", give: account.Register{}, wantCode: domain.InvalidArgument},
		{name: "too long", give: account.Register{Username: strings.Repeat("a", 33)}, wantCode: domain.TooLarge},
		{name: "a letter that folds into the allowed ones", give: account.Register{Username: "an\u212a"}, wantCode: domain.InvalidArgument},
		{name: "a space", give: account.Register{Username: "ann b"}, wantCode: domain.InvalidArgument},
		{name: "NUL", give: account.Register{Username: "ann\x00"}, wantCode: domain.InvalidArgument},
		{
			name: "display name too long", give: account.Register{Username: "ann", DisplayName: strings.Repeat("a", 65)},
			wantCode: domain.TooLarge,
		},
		{
			name: "display name with NUL", give: account.Register{Username: "ann", DisplayName: "a\x00b"},
			wantCode: domain.InvalidArgument,
		},
		{
			name: "display name with a line break", give: account.Register{Username: "ann", DisplayName: "a\nb"},
			wantCode: domain.InvalidArgument,
		},
		{
			name: "display name that turns what follows", give: account.Register{Username: "ann", DisplayName: "a\u202eb"},
			wantCode: domain.InvalidArgument,
		},
		{
			name: "display name that is not UTF-8", give: account.Register{Username: "ann", DisplayName: "a\xffb"},
			wantCode: domain.InvalidArgument,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLog()
			test.give.Stamp, test.give.PasswordHash = at(0), "hash"
			if test.wantCode != "" {
				refuse(t, l, test.give, test.wantCode)
				return
			}
			give(t, l, test.give)
			test.want.PasswordHash, test.want.CreatedAt = "hash", start
			if got := l.State().Profile; got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			refuse(t, l, test.give, domain.Conflict)
		})
	}
}

func TestCheckPassword(t *testing.T) {
	for password, want := range map[string]domain.Code{
		strings.Repeat("x", 7):   domain.InvalidArgument,
		strings.Repeat("x", 8):   "",
		strings.Repeat("x", 256): "",
		strings.Repeat("x", 257): domain.TooLarge,
		"12345678\x00":           domain.InvalidArgument,
		"12345678\xff":           domain.InvalidArgument,
	} {
		err := account.CheckPassword(password)
		if (err == nil) != (want == "") || err != nil && domain.CodeOf(err) != want {
			t.Errorf("%q: got %v, want %q", password, err, want)
		}
	}
}
