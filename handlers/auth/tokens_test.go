package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mpim/domain"
	"mpim/handlers/auth"
)

var (
	placement = domain.Placement{Partitions: 4}
	alice     = placement.User("alice")
	session   = domain.NewSessionID(alice, make([]byte, 12))
	key       = []byte(strings.Repeat("k", auth.MinKeyBytes))
)

func newTokens(t *testing.T, config auth.TokensConfig) *auth.Tokens {
	t.Helper()
	if config.Key == nil {
		config.Key = key
	}
	tokens, err := auth.NewTokens(config)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func issue(t *testing.T, tokens *auth.Tokens, now time.Time) auth.Issued {
	t.Helper()
	issued, err := tokens.Issue(alice, session, now)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func TestTokensComeBack(t *testing.T) {
	tokens := newTokens(t, auth.TokensConfig{})
	now := time.Now()
	issued := issue(t, tokens, now)
	principal, err := tokens.Access(issued.Access)
	if err != nil || principal.User != alice || principal.Session != session || !principal.ExpiresAt.Equal(issued.ExpiresAt) {
		t.Errorf("got %+v, %v", principal, err)
	}
	if life := issued.ExpiresAt.Sub(now); life > time.Hour || life < time.Hour-time.Second {
		t.Errorf("an access token lives %v, want about an hour", life)
	}
	presented, err := tokens.Refresh(issued.Refresh)
	if err != nil || presented.User != alice || presented.Session != session || presented.Hash != issued.RefreshHash {
		t.Errorf("got %+v, %v", presented, err)
	}
	if again := issue(t, tokens, now); again.RefreshHash == issued.RefreshHash {
		t.Error("two refresh tokens share a secret")
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	tokens := newTokens(t, auth.TokensConfig{})
	now := time.Now()
	issued := issue(t, tokens, now)
	other := issue(t, newTokens(t, auth.TokensConfig{Key: []byte(strings.Repeat("o", auth.MinKeyBytes))}), now)
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{
		"iss": "mpim", "aud": "access", "sub": string(alice), "sid": string(session), "exp": now.Add(time.Hour).Unix(),
	}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"empty":              "",
		"no token":           "hello",
		"another kind":       issued.Refresh,
		"another key":        other.Access,
		"expired":            issue(t, tokens, now.Add(-2*time.Hour)).Access,
		"unsigned":           unsigned,
		"changed":            issued.Access[:len(issued.Access)-4] + "AAAA",
		"without a session":  signed(t, jwt.MapClaims{"iss": "mpim", "aud": "access", "sub": "u", "exp": now.Add(time.Hour).Unix()}),
		"without an end":     signed(t, jwt.MapClaims{"iss": "mpim", "aud": "access", "sub": "u", "sid": "s"}),
		"of another issuer":  signed(t, jwt.MapClaims{"iss": "x", "aud": "access", "sub": "u", "sid": "s", "exp": now.Add(time.Hour).Unix()}),
		"of another service": signed(t, jwt.MapClaims{"iss": "mpim", "aud": "x", "sub": "u", "sid": "s", "exp": now.Add(time.Hour).Unix()}),
	} {
		if _, err := tokens.Access(token); domain.CodeOf(err) != domain.Unauthenticated {
			t.Errorf("%s: got %v, want unauthenticated", name, err)
		}
	}
	if _, err := tokens.Refresh(issued.Access); domain.CodeOf(err) != domain.Unauthenticated {
		t.Errorf("an access token refreshes: %v", err)
	}
}

func signed(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestNewTokensRefusesWeakSettings(t *testing.T) {
	for name, config := range map[string]auth.TokensConfig{
		"short key":       {Key: []byte("short")},
		"negative life":   {Key: key, AccessTTL: -time.Hour},
		"refresh shorter": {Key: key, AccessTTL: time.Hour, RefreshTTL: time.Minute},
	} {
		if _, err := auth.NewTokens(config); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
