package domain

import "strconv"

// Acknowledger is under which name a session's acknowledgements are kept in an epoch of the log. A log that was repaired
// has lost something, its clients begin anew, and what they acknowledged before counts for nothing: so each epoch has
// names of its own. That of the first epoch, 1 or not given, is the session's.
func Acknowledger(session SessionID, epoch int64) SessionID {
	if epoch <= 1 || session == "" {
		return session
	}
	return session + "~" + SessionID(strconv.FormatInt(epoch, 10))
}
