package account

import (
	"strings"

	"mpim/domain"
)

// Limits of the client protocol.
const (
	MinUsername    = 3
	MaxUsername    = 32
	MaxDisplayName = 64 // characters
	// MinPassword and MaxPassword are in bytes; they are checked where the password is hashed, with CheckPassword.
	MinPassword = 8
	MaxPassword = 256
	// MaxSessions is how many logins a user has; one more ends the one unused longest.
	MaxSessions = 50
	// MaxDevice bounds what a client says about its device and itself, in characters.
	MaxDevice = 128
	// MaxAvatarURL and MaxReason are in characters.
	MaxAvatarURL = 2048
	MaxReason    = 256
)

// Username brings a user name to the form it is kept in, lower case, and refuses what is none.
func Username(s string) (string, error) {
	if len(s) > MaxUsername {
		return "", domain.Errorf(domain.TooLarge, "username has more than %d characters", MaxUsername)
	}
	if len(s) < MinUsername {
		return "", domain.Errorf(domain.InvalidArgument, "username has fewer than %d characters", MinUsername)
	}
	name := []byte(s)
	for i, c := range name {
		switch {
		case c >= 'A' && c <= 'Z':
			name[i] = c + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return "", domain.Errorf(domain.InvalidArgument, "username may hold a-z, 0-9, '.', '_' and '-' only")
		}
	}
	return string(name), nil
}

// CheckPassword refuses a password that is too short or too long to be hashed.
func CheckPassword(password string) error {
	switch {
	case len(password) > MaxPassword:
		return domain.Errorf(domain.TooLarge, "password has more than %d bytes", MaxPassword)
	case len(password) < MinPassword:
		return domain.Errorf(domain.InvalidArgument, "password has fewer than %d bytes", MinPassword)
	default:
		return domain.CheckText("password", password, 0)
	}
}

// displayName returns what an account is called that asked for the given name.
func displayName(given, username string) (string, error) {
	name := strings.TrimSpace(given)
	if name == "" {
		name = username
	}
	return name, domain.CheckName("display_name", name, MaxDisplayName)
}
