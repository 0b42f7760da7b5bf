// Package auth proves who a caller is: passwords, and the tokens that stand for a login.
//
// A login (a session) has two tokens, both signed. The access token goes with every request and lives an hour; the refresh
// token is traded once for the next pair. Neither lets anybody in by its signature alone: [Gate] also asks the account's
// decision state whether the session still stands, so a revoked session is refused with the next request.
//
// # Design
//
// A password check costs [PasswordParams].Memory and tens of milliseconds on purpose, so [Passwords] bounds how many run
// at once and how many wait: a flood of logins gets unavailable, and neither exhausts memory nor takes all processors from
// those who chat.
//
// The tokens are JWTs (RFC 7519) under one symmetric key, because gateway and verifier are the same program. The refresh
// token is signed too, so that a guessed one is thrown away before anything is read, and only one that was really issued
// can end its session by being used twice (RFC 9700, section 4.14.2).
package auth
