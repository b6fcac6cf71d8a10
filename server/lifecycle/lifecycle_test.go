package lifecycle_test

import "testing"

// story is one of the tests, told from beginning to end.
type story struct{ *testing.T }

// lifecycles are the tests by slug.
func lifecycles() map[string]func(story) {
	return map[string]func(story){
		"killed-between-confirm-and-append":                     killedBetweenConfirmAndAppend,
		"killed-between-append-and-done":                        killedBetweenAppendAndDone,
		"killed-after-done-was-answered-and-before-the-job-ran": killedBeforeTheJobRan,
		"killed-inside-the-job-with-the-sweep":                  killedInsideTheJobWithTheSweep,
		"killed-inside-the-job-without-the-sweep":               killedInsideTheJobWithoutTheSweep,
		"node-frozen-inside-a-transaction":                      nodeFrozenInsideATransaction,
		"done-while-postgres-restarts":                          doneWhilePostgresRestarts,

		"done-on-another-node-than-the-claim":            doneOnAnotherNode,
		"done-twice-the-second-on-the-other-node":        doneTwice,
		"newer-wake-took-over-before-a-late-done":        newerWakeTookOverBeforeALateDone,
		"append-and-tag-after-done-is-answered":          appendAndTagAfterDone,
		"hand-over-race":                                 handOverRace,
		"send-and-release-at-the-same-instant":           sendAndReleaseAtTheSameInstant,
		"two-entities-of-one-runner":                     twoEntitiesOfOneRunner,
		"message-left-by-a-dead-runner":                  messageLeftByADeadRunner,
		"message-that-lands-while-an-earlier-is-handled": messageThatLandsWhileAnEarlierIsHandled,

		"two-claims-for-one-wake-at-once":               twoClaimsForOneWake,
		"lost-claim-response":                           lostClaimResponse,
		"two-processes-with-one-runner-id":              twoProcessesWithOneRunnerID,
		"confirm-without-or-with-a-foreign-claim-token": confirmWithoutOrWithAForeignClaimToken,
		"heartbeat-on-either-node-extends-the-lease":    heartbeatOnEitherNode,
		"runner-that-never-finishes":                    runnerThatNeverFinishes,
		"token-outlives-its-trust-deadline":             tokenOutlivesItsTrustDeadline,
		"wake-whose-claim-got-a-5xx-comes-again":        wakeWhoseClaimGotA5xxComesAgain,
		"wake-stream-gets-are-never-4xx":                wakeStreamGetsAreNever4xx,
		"paused-entity-makes-no-wakes":                  pausedEntityMakesNoWakes,
		"sigstop-while-running-sticks":                  sigstopWhileRunningSticks,
		"sigstop-with-a-wake-out-then-sigcont":          sigstopWithAWakeOutThenSigcont,
		"sigkill-drops-the-token-on-both-nodes":         sigkillDropsTheTokenOnBothNodes,
		"zombie-append-with-the-view-forced-to-say-yes": zombieAppendWithTheViewForcedToSayYes,
		"every-notify-dropped":                          everyNotifyDropped,
		"every-spelling-of-the-main-stream-is-fenced":   everySpellingOfTheMainStream,

		"moved-while-pending-claimed-and-paused":     movedWhilePendingClaimedAndPaused,
		"move-races-claim":                           moveRacesClaim,
		"respawned-under-its-old-name":               respawnedUnderItsOldName,
		"deletion-of-a-large-entity":                 deletionOfALargeEntity,
		"drained-runner-finishes-and-gets-no-more":   drainedRunnerFinishesAndGetsNoMore,
		"deleted-runner-leaves-its-work-waiting":     deletedRunnerLeavesItsWorkWaiting,
		"enabling-races-sending":                     enablingRacesSending,
		"delayed-message-comes-once-and-not-early":   delayedMessageComesOnceAndNotEarly,
		"delayed-message-for-an-entity-that-is-gone": delayedMessageForAnEntityThatIsGone,

		"parked-after-failures-until-unparked":         parkedUntilUnparked,
		"handed-back-claim-goes-to-the-next":           handedBackClaim,
		"force-released-claim-is-over-on-both-nodes":   forceReleasedClaim,
		"verify-asks-postgres-on-any-node":             verifiedOnAnyNode,
		"zombie-side-effect-never-commits":             zombieSideEffect,
		"short-outage-is-not-seen":                     shortOutageIsNotSeen,
		"long-outage-is-answered-in-time":              longOutageIsAnsweredInTime,
		"nobody-expires-because-the-database-was-away": nobodyExpiresBecauseWeWereAway,

		"what-is-past-its-age-is-removed":          whatIsPastItsAgeIsRemoved,
		"a-wake-stream-reads-from-its-first-event": aWakeStreamReadsFromItsFirstEvent,
	}
}

func TestLifecycle(t *testing.T) {
	t.Parallel()
	for slug, test := range lifecycles() {
		t.Run(slug, func(t *testing.T) {
			t.Parallel()
			test(story{t})
		})
	}
}
