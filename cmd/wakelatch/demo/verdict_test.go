package demo_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/cmd/wakelatch/demo"
)

const ada = "/demo/ada"

// begun is the first moment of the stories.
func begun() time.Time { return time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC) }

func at(seconds int) time.Time { return begun().Add(time.Duration(seconds) * time.Second) }

// good is a story in which everything went wrong as it should: the node of epoch 1 was killed, and so was the runner
// of epoch 2, whose message epoch 3 handled again.
func good() (demo.Story, demo.Facts) {
	s := demo.Story{
		Claims: []demo.Claim{
			{Entity: ada, Wake: "w_1", Epoch: 1, Status: "released", Over: at(2)},
			{Entity: ada, Wake: "w_2", Epoch: 2, Status: "expired", Over: at(8)},
			{Entity: ada, Wake: "w_3", Epoch: 3, Status: "released", Over: at(12)},
		},
		Entries: []demo.Entry{
			{Entity: ada, Offset: 10, At: at(0), Message: 1},
			{Entity: ada, Offset: 20, At: at(1), Message: 1, Epoch: 1},
			{Entity: ada, Offset: 30, At: at(3), Message: 2},
			{Entity: ada, Offset: 40, At: at(4), Message: 2, Epoch: 2},
			{Entity: ada, Offset: 50, At: at(10), Message: 2, Epoch: 3},
		},
	}
	return s, demo.Facts{
		Sent:       map[int]string{1: ada, 2: ada},
		NodeKill:   demo.Kill{Process: "node-1", Entity: ada, Wake: "w_1", Epoch: 1},
		RunnerKill: demo.Kill{Process: "runner-1", Entity: ada, Wake: "w_2", Epoch: 2},
		Stale:      []demo.Answer{{Node: "node-1", Status: 401}, {Node: "node-2", Status: 401}},
	}
}

func TestAVerdictWithoutProblems(t *testing.T) {
	v := demo.Judge(good())
	require.Empty(t, cmp.Diff(demo.Verdict{
		Sent: 2, Once: 1, Again: []demo.Repeat{{Message: 2, Entity: ada, By: []demo.Ending{
			{Entity: ada, Epoch: 2, Status: "expired"}, {Entity: ada, Epoch: 3, Status: "released"},
		}}},
		Claims: demo.ClaimCounts{Released: 2, Expired: 1}, TakeOver: 1, Tried: 2, Refused: 2,
		Node:   demo.Ending{Kill: "node-1", Entity: ada, Epoch: 1, Status: "released"},
		Runner: demo.Ending{Kill: "runner-1", Entity: ada, Epoch: 2, Status: "expired"},
	}, v))
}

// One append may say of many messages that they are handled.
func TestAStaleAppendCountsOnce(t *testing.T) {
	s, f := good()
	for range 3 {
		s.Entries = append(s.Entries, demo.Entry{Entity: ada, Offset: 60, At: at(11), Message: 2, Epoch: 2})
	}
	s.Entries = append(s.Entries, demo.Entry{Entity: ada, Offset: 70, At: at(11), Message: 2, Epoch: 2})
	v := demo.Judge(s, f)
	require.Equal(t, 2, v.Landed)
	require.Len(t, v.Problems, 2)
	require.Len(t, v.Again, 1, "what landed too late counts for nothing")
}

// Each story has one thing that must not be, and the verdict has to say so.
func TestAVerdictSeesWhatMustNotBe(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(s *demo.Story, f *demo.Facts)
		says   string
	}{
		{"a message is lost", func(s *demo.Story, _ *demo.Facts) {
			s.Entries = append(s.Entries[:1], s.Entries[2:]...)
		}, "message 1 of /demo/ada was lost"},
		{"a message is handled twice under one claim", func(s *demo.Story, _ *demo.Facts) {
			s.Entries = append(s.Entries, demo.Entry{Entity: ada, Offset: 60, At: at(11), Message: 2, Epoch: 3})
		}, "message 2 of /demo/ada was handled 3 times without a take-over"},
		{"a message is handled again though its claim was done", func(s *demo.Story, _ *demo.Facts) {
			s.Entries = append(s.Entries, demo.Entry{Entity: ada, Offset: 60, At: at(11), Message: 1, Epoch: 3})
		}, "message 1 of /demo/ada was handled 2 times without a take-over"},
		{"a message is stored twice", func(s *demo.Story, _ *demo.Facts) {
			s.Entries = append(s.Entries, s.Entries[0])
		}, "message 1 of /demo/ada is in the stream 2 times"},
		{"a message that nobody sent", func(s *demo.Story, _ *demo.Facts) {
			s.Entries = append(s.Entries, demo.Entry{Entity: ada, Offset: 60, Message: 7})
		}, "message 7, which was not sent there"},
		{"a write behind a newer epoch's", func(s *demo.Story, _ *demo.Facts) {
			s.Claims[1].Over = time.Time{}
			s.Entries = append(s.Entries, demo.Entry{Entity: ada, Offset: 60, At: at(11), Message: 2, Epoch: 2})
		}, "a stale write landed: at offset 60 of /demo/ada, message 2, under epoch 2 (expired), behind what epoch 3 wrote"},
		{"a write after the end of its claim", func(s *demo.Story, _ *demo.Facts) {
			s.Entries = append(s.Entries[:4], demo.Entry{Entity: ada, Offset: 45, At: at(9), Message: 2, Epoch: 2}, s.Entries[4])
		}, "a stale write landed: at offset 45 of /demo/ada, message 2, 1000 ms after epoch 2 was over"},
		{"a write under an epoch that nobody claimed", func(s *demo.Story, _ *demo.Facts) {
			s.Entries = append(s.Entries, demo.Entry{Entity: ada, Offset: 60, Message: 2, Epoch: 9})
		}, "under epoch 9, which was never claimed"},
		{"a claim that stays active", func(s *demo.Story, _ *demo.Facts) {
			s.Claims[2].Status = "active"
		}, "the claim of /demo/ada epoch 3 leaked"},
		{"work that nobody does", func(s *demo.Story, _ *demo.Facts) {
			s.Pending = []string{ada}
		}, "/demo/ada is stuck with work that is pending"},
		{"an entity that runs for nobody", func(s *demo.Story, _ *demo.Facts) {
			s.Unheld = []string{ada}
		}, "/demo/ada is stuck: it runs and has no claim"},
		{"a broken invariant", func(s *demo.Story, _ *demo.Facts) {
			s.Violations = []string{"I4: /demo/ada: points nowhere"}
		}, "the consistency query finds I4"},
		{"no node was killed", func(_ *demo.Story, f *demo.Facts) {
			f.NodeKill = demo.Kill{}
		}, "no node was killed"},
		{"no runner was killed", func(_ *demo.Story, f *demo.Facts) {
			f.RunnerKill = demo.Kill{}
		}, "no runner was killed"},
		{"the dead runner's claim did not expire", func(s *demo.Story, _ *demo.Facts) {
			s.Claims[1].Status = "failed"
		}, "whose runner was killed, is failed and not expired"},
		{"nobody took over", func(s *demo.Story, _ *demo.Facts) {
			s.Claims, s.Entries = s.Claims[:2], s.Entries[:4]
		}, "no claim expired and was taken over"},
		{"the orphan was never asked", func(_ *demo.Story, f *demo.Facts) {
			f.Stale = nil
		}, "no append was sent under an epoch that was over"},
		{"the orphan was answered otherwise", func(_ *demo.Story, f *demo.Facts) {
			f.Stale[1].Status = 503
		}, "node-2 answered an append under an epoch that was over with 503"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, f := good()
			tc.change(&s, &f)
			require.Contains(t, strings.Join(demo.Judge(s, f).Problems, "\n"), tc.says)
		})
	}
}
