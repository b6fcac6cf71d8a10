package stream

const (
	maxBatchItems = 128
	maxBatchBytes = 4 << 20
)

// admission decides what may share a transaction. The statement that writes a batch judges each item
// against the rows as they were before it, so two items may be in one batch only if what becomes of one
// cannot depend on the other, with one exception: items of one producer that follow each other without a
// gap and are otherwise alike share their fate. The batcher keeps a stream's items in order, so behind one
// that is refused none of its stream is asked about.
type admission struct {
	bytes     int
	decided   map[Key]bool // streams that have an item on which those behind it depend
	producers map[producerKey]appendItem
}

type producerKey struct {
	Key
	id string
}

func newAdmission() func(appendItem) bool {
	a := &admission{decided: map[Key]bool{}, producers: map[producerKey]appendItem{}}
	return a.admit
}

func (a *admission) admit(i appendItem) bool {
	if a.bytes > 0 && a.bytes+len(i.message.Body) > maxBatchBytes {
		return false
	}
	if a.decided[i.Key] {
		return false
	}
	if i.producer.ID != "" {
		producer := producerKey{i.Key, i.producer.ID}
		if last, has := a.producers[producer]; has && !i.follows(last) {
			return false
		}
		a.producers[producer] = i
	}
	a.bytes += len(i.message.Body)
	a.decided[i.Key] = i.decides()
	return true
}

// decides is true of an item whose effect on its stream decides about any behind it.
func (i appendItem) decides() bool { return i.streamSeq != "" || i.closes }

func (i appendItem) follows(last appendItem) bool {
	return i.producer.Epoch == last.producer.Epoch && i.producer.Seq == last.producer.Seq+1 &&
		i.holder == last.holder && i.mediaType == last.mediaType
}

// order is what an item is in order with: its stream.
func order(i appendItem) string { return i.Tenant + "\x00" + string(i.Path) }
