package gateway

// Class is how urgent a frame is. What is more urgent goes first; within a class the order is kept.
type Class uint8

// The classes, from the most urgent.
const (
	// Messages are answers and everything with a sequence. They are never left out: a client that cannot keep up with them
	// is closed and catches up with sync.
	Messages Class = iota
	// Receipts are other people's cursors. They are left out when what is ephemeral was: a later one says more.
	Receipts
	// Ephemeral frames are typing and presence: each is soon out of date, so they are left out first.
	Ephemeral

	classes = 3
)

// queue holds what is still to be written to one socket. It is bounded in bytes and in frames. The frames are shared
// with other sockets and never changed. The zero queue is empty and takes no memory for frames.
type queue struct {
	frames [classes][][]byte
	bytes  [classes]int
	count  int
}

// keptFrames is how many frames an empty queue keeps room for.
const keptFrames = 4

// size returns the bytes of all frames.
func (q *queue) size() int { return q.bytes[Messages] + q.bytes[Receipts] + q.bytes[Ephemeral] }

// fits says whether a frame of n bytes stays within the bounds.
func (q *queue) fits(n int, l Limits) bool {
	return q.count < l.QueueFrames && q.size()+n <= l.QueueBytes
}

// push appends a frame. It makes room by leaving out what is less urgent: ephemeral frames, the new one first, and then
// receipts. It is false where a frame that must not be left out does not fit.
func (q *queue) push(class Class, frame []byte, l Limits) (shed int, ok bool) {
	if class == Ephemeral {
		// They may fill half, so that what matters always finds room before it has to throw anything out.
		if q.count >= l.QueueFrames/2 || q.size()+len(frame) > l.QueueBytes/2 {
			return 1, true
		}
	} else if !q.fits(len(frame), l) {
		shed = q.drop(Ephemeral)
		if !q.fits(len(frame), l) {
			shed += q.drop(Receipts)
		}
		if !q.fits(len(frame), l) {
			if class == Receipts {
				return shed + 1, true
			}
			return shed, false
		}
	}
	q.frames[class] = append(q.frames[class], frame)
	q.bytes[class] += len(frame)
	q.count++
	return shed, true
}

// drop empties one class and returns how many frames it had.
func (q *queue) drop(class Class) int {
	n := len(q.frames[class])
	q.count -= n
	q.bytes[class] = 0
	q.frames[class] = nil
	return n
}

// clear empties the queue.
func (q *queue) clear() {
	for class := range Class(classes) {
		q.drop(class)
	}
}

// take moves frames to dst, the most urgent first: as many as stay within the given bytes, but at least one.
func (q *queue) take(dst [][]byte, bytes int) [][]byte {
	taken := 0
	for class := range q.frames {
		frames := q.frames[class]
		n := 0
		for n < len(frames) && (len(dst) == 0 || taken+len(frames[n]) <= bytes) {
			taken += len(frames[n])
			q.bytes[class] -= len(frames[n])
			dst = append(dst, frames[n])
			n++
		}
		q.count -= n
		q.frames[class] = remove(frames, n)
		if n < len(frames) {
			break
		}
	}
	return dst
}

// remove takes the first n frames off, and lets go of memory that a burst needed.
func remove(frames [][]byte, n int) [][]byte {
	switch {
	case n == 0:
		return frames
	case n < len(frames):
		// What was taken must not be kept alive by the array behind the rest.
		clear(frames[:n])
		return frames[n:]
	case cap(frames) > keptFrames:
		return nil
	default:
		clear(frames)
		return frames[:0]
	}
}
