package proof

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Keys are those that sign heads, and those that are trusted to have signed some. The zero value signs and trusts nothing.
type Keys struct {
	signers   []note.Signer
	verifiers keyList
	public    []string
}

// keyList finds a verifier by name and hash.
type keyList []note.Verifier

// Verifier implements note.Verifiers.
func (l keyList) Verifier(name string, hash uint32) (note.Verifier, error) {
	for _, v := range l {
		if v.Name() == name && v.KeyHash() == hash {
			return v, nil
		}
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}

// Defaults of keys.
const (
	// KeyName is what a key is called where nobody names it.
	KeyName = "mpim-audit"
	// privatePrefix begins a key that signs.
	privatePrefix = "PRIVATE+KEY+"
	// ed25519Key is the byte that says what kind of key it is, as in package note.
	ed25519Key = 1
)

// ParseKeys reads keys with commas between them: private ones ("PRIVATE+KEY+…") sign, and they and public ones are trusted.
func ParseKeys(list string) (*Keys, error) {
	k := &Keys{}
	for n, text := range strings.Split(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if err := k.add(text); err != nil {
			return nil, fmt.Errorf("key %d: %w", n+1, err)
		}
	}
	return k, nil
}

func (k *Keys) add(text string) error {
	public := text
	if strings.HasPrefix(text, privatePrefix) {
		signer, err := note.NewSigner(text)
		if err != nil {
			return fmt.Errorf("it is no private key of a note (PRIVATE+KEY+name+hash+key): %w", err)
		}
		if public, err = PublicKey(text); err != nil {
			return err
		}
		k.signers, k.public = append(k.signers, signer), append(k.public, public)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return fmt.Errorf("it is no public key of a note (name+hash+key): %w", err)
	}
	k.verifiers = append(k.verifiers, verifier)
	return nil
}

// Signs says whether there is a key to sign with.
func (k *Keys) Signs() bool { return len(k.signers) > 0 }

// Trusts says whether any key is trusted.
func (k *Keys) Trusts() bool { return len(k.verifiers) > 0 }

// Public returns the public keys of those that sign.
func (k *Keys) Public() []string { return append([]string(nil), k.public...) }

// PublicKey returns the public key of a private one.
func PublicKey(private string) (string, error) {
	fields := strings.SplitN(strings.TrimPrefix(private, privatePrefix), "+", 3)
	if !strings.HasPrefix(private, privatePrefix) || len(fields) != 3 {
		return "", errors.New("it is no private key of a note")
	}
	key, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil || len(key) != 1+ed25519.SeedSize || key[0] != ed25519Key {
		return "", errors.New("it is no Ed25519 key")
	}
	public, ok := ed25519.NewKeyFromSeed(key[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("it is no Ed25519 key")
	}
	return note.NewEd25519VerifierKey(fields[0], public)
}

// NewKey draws a private key with a name, which may have no spaces and no plus.
func NewKey(name string) (string, error) {
	var seed [ed25519.SeedSize]byte
	_, _ = rand.Read(seed[:]) // never fails, as crypto/rand says
	return keyOf(name, seed[:])
}

// DeriveKey makes a private key of a secret that is kept for something else; context tells it from other keys that are made of the
// same secret.
func DeriveKey(name string, secret []byte, context string) (string, error) {
	seed, err := hkdf.Key(sha256.New, secret, nil, context, ed25519.SeedSize)
	if err != nil {
		return "", fmt.Errorf("derive a key: %w", err)
	}
	return keyOf(name, seed)
}

func keyOf(name string, seed []byte) (string, error) {
	public, ok := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("it is no Ed25519 key")
	}
	verifier, err := note.NewEd25519VerifierKey(name, public)
	if err != nil {
		return "", err
	}
	if _, err := note.NewVerifier(verifier); err != nil {
		return "", fmt.Errorf("a key cannot be called %q: spaces and plus signs are not allowed", name)
	}
	hash := strings.SplitN(strings.TrimPrefix(verifier, name), "+", 3)[1]
	return privatePrefix + name + "+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{ed25519Key}, seed...)), nil
}
