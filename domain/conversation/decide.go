package conversation

import "mpim/domain"

// Decide returns what a command of a group comes to: the facts to append, none where nothing is left to do, or a
// *domain.Error.
func Decide(s State, c Command) ([]domain.Fact, error) {
	switch c := c.(type) {
	case CreateGroup:
		return decideCreateGroup(s, c)
	case AddMembers:
		return decideAddMembers(s, c)
	case RemoveMember:
		return decideRemoveMember(s, c)
	case Leave:
		return decideLeave(s, c)
	case Join:
		return decideJoin(s, c)
	case Update:
		return decideUpdate(s, c)
	case SetRole:
		return decideSetRole(s, c)
	case Mute:
		return decideMute(s, c)
	case Dissolve:
		return decideDissolve(s, c)
	case MessageCommand:
		return DecideMessage(s, c)
	default:
		return nil, domain.Errorf(domain.Internal, "no rule for %T", c)
	}
}

// DecideMessage decides what groups and pairs have in common.
func DecideMessage(s State, c MessageCommand) ([]domain.Fact, error) {
	switch c := c.(type) {
	case SendMessage:
		return decideSend(s, c)
	case EditMessage:
		return decideEdit(s, c)
	case RecallMessage:
		return decideRecall(s, c)
	case React:
		return decideReact(s, c)
	case ExpireMessage:
		return decideExpire(s, c)
	case ScheduleMessage:
		return decideSchedule(s, c)
	case Unschedule:
		return decideUnschedule(s, c)
	case FireScheduled:
		return decideFire(s, c)
	case Erase:
		return decideErase(s, c)
	case MoveReceipt:
		return decideReceipt(s, c)
	default:
		return nil, domain.Errorf(domain.Internal, "no rule for %T", c)
	}
}
