package domain_test

import (
	"strings"
	"testing"

	"mpim/domain"
)

func code(err error) domain.Code {
	if err == nil {
		return ""
	}
	return domain.CodeOf(err)
}

func TestNames(t *testing.T) {
	for name, want := range map[string]domain.Code{
		"":                            "",
		"Ann":                         "",
		"Ann-Marie O'Neill 3rd":       "",
		"اسم\u200f":                   "",
		"👩\u200d👧":                    "",
		"a\nb":                        domain.InvalidArgument,
		"a\tb":                        domain.InvalidArgument,
		"a\x00b":                      domain.InvalidArgument,
		"a\x1b[31m":                   domain.InvalidArgument,
		"a\u007f":                     domain.InvalidArgument,
		"a\u0085b":                    domain.InvalidArgument,
		"a\u2028b":                    domain.InvalidArgument,
		"a\u202ab":                    domain.InvalidArgument,
		"exe.\u202egpj":               domain.InvalidArgument,
		"a\u2066b":                    domain.InvalidArgument,
		"a\u2069b":                    domain.InvalidArgument,
		"a\xffb":                      domain.InvalidArgument,
		strings.Repeat("ü", 10):       "",
		strings.Repeat("ü", 40) + "x": domain.TooLarge,
	} {
		if got := code(domain.CheckName("name", name, 40)); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestURLs(t *testing.T) {
	for address, want := range map[string]domain.Code{
		"":                                      "",
		"http://x":                              "",
		"https://example.com/a.png?b=c#d":       "",
		"HTTPS://example.com/":                  "",
		"https://[::1]:80/a%20b":                "",
		"javascript:alert(1)":                   domain.InvalidArgument,
		"JavaScript://example.com/%0aalert(1)":  domain.InvalidArgument,
		"\u00a0javascript:alert(1)":             domain.InvalidArgument,
		"https://example.com/a b":               domain.InvalidArgument,
		"https://example.com\\@example.org/":    domain.InvalidArgument,
		"https://user@":                         domain.InvalidArgument,
		"https://:80/":                          domain.InvalidArgument,
		"https://user:secret@example.com?x":     "",
		"java\nscript:alert(1)":                 domain.InvalidArgument,
		"data:text/html,x":                      domain.InvalidArgument,
		"//example.com/a.png":                   domain.InvalidArgument,
		"/a.png":                                domain.InvalidArgument,
		"https:":                                domain.InvalidArgument,
		"https:///a.png":                        domain.InvalidArgument,
		"file:///etc/passwd":                    domain.InvalidArgument,
		"a\xff":                                 domain.InvalidArgument,
		"https://x/" + strings.Repeat("a", 100): domain.TooLarge,
	} {
		if got := code(domain.CheckURL("avatar_url", address, 100)); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
}
