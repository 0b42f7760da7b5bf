package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"mpim/domain"
)

// KeyBytes is the length of a user's key.
const KeyBytes = 32

// minSecret is how many characters a secret of the configuration has at least.
const minSecret = 32

// Wrapped is a user's key as it is stored: encrypted with a wrapping key.
type Wrapped struct {
	User domain.UserID
	// Wrapping names the wrapping key.
	Wrapping string
	// Key is empty where the key was destroyed.
	Key []byte
}

// Destroyed says that there was a key and that it is gone for good.
func (w Wrapped) Destroyed() bool { return len(w.Key) == 0 }

// Wrapping are the keys of the configuration under which users' keys are stored: the current one, and older ones that some
// may still be wrapped with.
type Wrapping struct {
	current string
	keys    map[string]cipher.AEAD
}

// NewWrapping reads a setting: secrets of at least 32 characters with commas between them. New keys are wrapped with the
// first.
func NewWrapping(setting string) (*Wrapping, error) {
	w := &Wrapping{keys: make(map[string]cipher.AEAD)}
	for secret := range strings.SplitSeq(setting, ",") {
		secret = strings.TrimSpace(secret)
		if len(secret) < minSecret {
			return nil, fmt.Errorf("a key of %d characters is too short: give %d random ones at least, such as `openssl rand -hex 32` prints", len(secret), minSecret)
		}
		derived, err := hkdf.Key(sha256.New, []byte(secret), nil, "mpim wrapping key", KeyBytes+4)
		if err != nil {
			return nil, err
		}
		id := hex.EncodeToString(derived[KeyBytes:])
		if w.keys[id], err = newAEAD(derived[:KeyBytes]); err != nil {
			return nil, err
		}
		if w.current == "" {
			w.current = id
		}
	}
	return w, nil
}

// Current names the key that new ones are wrapped with.
func (w *Wrapping) Current() string { return w.current }

// Has says whether a wrapping key is among them.
func (w *Wrapping) Has(id string) bool { return w.keys[id] != nil }

// NewKey returns a fresh key for a user.
func (w *Wrapping) NewKey(user domain.UserID) Wrapped {
	var key [KeyBytes]byte
	_, _ = rand.Read(key[:]) // never fails, as crypto/rand says
	return w.wrap(user, key[:])
}

// Rewrap returns the same key wrapped with the current wrapping key.
func (w *Wrapping) Rewrap(old Wrapped) (Wrapped, error) {
	key, err := w.unwrap(old)
	if err != nil {
		return Wrapped{}, err
	}
	return w.wrap(old.User, key), nil
}

func (w *Wrapping) wrap(user domain.UserID, key []byte) Wrapped {
	wrapped := w.keys[w.current].Seal(nil, nil, key, []byte(user)) //nolint:gosec // the cipher makes the nonce itself
	return Wrapped{User: user, Wrapping: w.current, Key: wrapped}
}

var errDamaged = errors.New("its key in SQL is damaged")

func (w *Wrapping) unwrap(k Wrapped) ([]byte, error) {
	aead, ok := w.keys[k.Wrapping]
	if !ok {
		return nil, fmt.Errorf("the key of user %s is wrapped with %s, which is not among the keys in MPIM_SEAL_KEY", k.User, k.Wrapping)
	}
	key, err := aead.Open(nil, nil, k.Key, []byte(k.User))
	if err != nil || len(key) != KeyBytes {
		return nil, fmt.Errorf("user %s: %w", k.User, errDamaged)
	}
	return key, nil
}

// newAEAD returns AES-256-GCM that makes its nonces and puts them first.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
