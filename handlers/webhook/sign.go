package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of a request, as Standard Webhooks names them.
const (
	IDHeader        = "Webhook-Id"
	TimestampHeader = "Webhook-Timestamp"
	SignatureHeader = "Webhook-Signature"
)

// Secrets are 24 to 64 bytes, written in base64 behind a prefix.
const (
	secretPrefix   = "whsec_"
	MinSecretBytes = 24
	MaxSecretBytes = 64
)

// FormatSecret returns a secret as people copy it.
func FormatSecret(secret []byte) string {
	return secretPrefix + base64.StdEncoding.EncodeToString(secret)
}

// ParseSecret reads what FormatSecret writes.
func ParseSecret(text string) ([]byte, error) {
	encoded, found := strings.CutPrefix(text, secretPrefix)
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if !found || err != nil || len(secret) < MinSecretBytes || len(secret) > MaxSecretBytes {
		return nil, errors.New("a secret is whsec_ and 24 to 64 bytes in base64, such as `echo whsec_$(openssl rand -base64 32)` prints")
	}
	return secret, nil
}

// Sign returns the signature of a body that is sent under an id at a time: "v1," and the HMAC-SHA256 of "id.seconds.body".
func Sign(secret []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// tolerance is how old, or how far ahead, a signature may be.
const tolerance = 5 * time.Minute

// Verify returns nil where the headers prove that the body was signed with the secret within five minutes of now. Receivers
// in Go may copy it.
func Verify(secret []byte, header http.Header, body []byte, now time.Time) error {
	seconds, err := strconv.ParseInt(header.Get(TimestampHeader), 10, 64)
	if err != nil {
		return errors.New("the request has no timestamp")
	}
	at := time.Unix(seconds, 0)
	if now.Sub(at).Abs() > tolerance {
		return errors.New("the request is too old, or from the future")
	}
	want := Sign(secret, header.Get(IDHeader), at, body)
	for signature := range strings.SplitSeq(header.Get(SignatureHeader), " ") {
		if hmac.Equal([]byte(signature), []byte(want)) {
			return nil
		}
	}
	return errors.New("the signature is not that of the body")
}
