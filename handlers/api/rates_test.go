package api_test

import (
	"testing"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

func TestRatesChangeWhileSessionsGoOn(t *testing.T) {
	b := apitest.New(t, func(c *api.Config) { c.Rates = api.Rates{SendPerSecond: 1, SendBurst: 1} })
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	to := P{"user": bob.User}
	attempt := func(id string) error {
		_, err := b.Call(t, alice, "message.send", P{"to": to, "client_id": id, "body": text("x")})
		return err
	}
	send(t, b, alice, to, "1")
	wantCode(t, attempt("2"), domain.RateLimited)

	b.Operations.SetRates(api.Rates{})
	for _, id := range []string{"2", "3", "4"} {
		if err := attempt(id); err != nil {
			t.Fatal(err)
		}
	}
	b.Operations.SetRates(api.Rates{SendPerSecond: 1, SendBurst: 2, RegisterPerHour: 1})
	for _, id := range []string{"5", "6"} {
		if err := attempt(id); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, attempt("7"), domain.RateLimited)

	register := func(name string) error {
		_, err := b.Call(t, stranger, "account.register", P{"username": name, "password": apitest.Password})
		return err
	}
	if err := register("carol"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, register("dave"), domain.RateLimited)
	b.Operations.SetRates(api.Rates{RegisterPerHour: 2})
	if err := register("dave"); err != nil {
		t.Fatal(err)
	}
}
