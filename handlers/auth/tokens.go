package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mpim/domain"
)

// MinKeyBytes is the shortest signing key that is accepted: as long as the hash (RFC 7518, section 3.2).
const MinKeyBytes = 32

// TokensConfig is what tokens are made with.
type TokensConfig struct {
	// Key signs. It is secret and the same in every gateway; at least MinKeyBytes.
	Key []byte
	// AccessTTL is how long an access token is valid. Default: 1 h.
	AccessTTL time.Duration
	// RefreshTTL is how long a refresh token is valid: a client that was away longer logs in again. Default: 90 days.
	RefreshTTL time.Duration
}

// Tokens issues tokens and checks those that come back. It is safe for concurrent use.
type Tokens struct {
	config          TokensConfig
	access, refresh *jwt.Parser
}

// NewTokens returns tokens under the configured key.
func NewTokens(config TokensConfig) (*Tokens, error) {
	if len(config.Key) < MinKeyBytes {
		return nil, fmt.Errorf("auth: Key has %d bytes, and needs at least %d", len(config.Key), MinKeyBytes)
	}
	if config.AccessTTL == 0 {
		config.AccessTTL = time.Hour
	}
	if config.RefreshTTL == 0 {
		config.RefreshTTL = 90 * 24 * time.Hour
	}
	if config.AccessTTL < 0 || config.RefreshTTL < config.AccessTTL {
		return nil, fmt.Errorf("auth: AccessTTL is %v and RefreshTTL %v; the first is above 0 and the second not below it",
			config.AccessTTL, config.RefreshTTL)
	}
	return &Tokens{config: config, access: parser(accessAudience), refresh: parser(refreshAudience)}, nil
}

// Audiences keep one kind of token from being taken for the other.
const (
	issuer          = "mpim"
	accessAudience  = "access"
	refreshAudience = "refresh"
)

func parser(audience string) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithExpirationRequired(),
	)
}

// claims are what both kinds of token say. The id of a refresh token is its secret.
type claims struct {
	jwt.RegisteredClaims
	Session domain.SessionID `json:"sid"`
}

// Issued is a pair of tokens for one session.
type Issued struct {
	Access, Refresh string
	// ExpiresAt is when the access token does, in whole seconds.
	ExpiresAt time.Time
	// RefreshHash is what the account keeps of the refresh token.
	RefreshHash string
}

// Issue returns new tokens for a session.
func (t *Tokens) Issue(user domain.UserID, session domain.SessionID, now time.Time) (Issued, error) {
	secret := rand.Text()
	expires := now.Add(t.config.AccessTTL).Truncate(time.Second).UTC()
	access, errAccess := t.sign(accessAudience, user, session, "", now, expires)
	refresh, errRefresh := t.sign(refreshAudience, user, session, secret, now, now.Add(t.config.RefreshTTL))
	if err := errors.Join(errAccess, errRefresh); err != nil {
		return Issued{}, fmt.Errorf("sign tokens: %w", err)
	}
	return Issued{Access: access, Refresh: refresh, ExpiresAt: expires, RefreshHash: hash(secret)}, nil
}

func (t *Tokens) sign(audience string, user domain.UserID, session domain.SessionID, id string, now, expires time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: string(user), Audience: jwt.ClaimStrings{audience}, ID: id,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
		},
		Session: session,
	}).SignedString(t.config.Key)
}

// Principal is who a token speaks for.
type Principal struct {
	User    domain.UserID
	Session domain.SessionID
	// ExpiresAt is when the token does.
	ExpiresAt time.Time
}

// Access checks an access token's signature and time. An error is of kind Unauthenticated.
func (t *Tokens) Access(token string) (Principal, error) {
	c, err := t.parse(t.access, token)
	if err != nil {
		return Principal{}, err
	}
	return Principal{User: domain.UserID(c.Subject), Session: c.Session, ExpiresAt: c.ExpiresAt.Time}, nil
}

// Presented is a refresh token that came back.
type Presented struct {
	User    domain.UserID
	Session domain.SessionID
	// Hash is to be compared with the one that the account keeps.
	Hash string
}

// Refresh checks a refresh token's signature and time, not whether it was used. An error is of kind Unauthenticated.
func (t *Tokens) Refresh(token string) (Presented, error) {
	c, err := t.parse(t.refresh, token)
	if err != nil {
		return Presented{}, err
	}
	return Presented{User: domain.UserID(c.Subject), Session: c.Session, Hash: hash(c.ID)}, nil
}

func (t *Tokens) parse(parser *jwt.Parser, token string) (*claims, error) {
	c := new(claims)
	_, err := parser.ParseWithClaims(token, c, func(*jwt.Token) (any, error) { return t.config.Key, nil })
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, domain.Wrap(domain.Unauthenticated, err, "the token has expired: refresh it, or log in again")
	case err != nil:
		return nil, domain.Wrap(domain.Unauthenticated, err, "the token is not valid: log in again")
	case c.Session == "" || c.Subject == "":
		return nil, domain.Errorf(domain.Unauthenticated, "the token is not valid: log in again")
	}
	return c, nil
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
