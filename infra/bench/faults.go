package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// faultKind is a fault, and the test that makes it and then looks whether the invariants
// hold, in SQL or in the platform's own log.
type faultKind struct{ kind, folder, test string }

var faultKinds = []faultKind{
	{"the database and the system are killed while a thousand events are sent", "./infra/local", "TestAThousandEventsEndTheSameWhateverIsKilled"},
	{"the whole system gets SIGKILL between acknowledging and handling", "./infra/local", "TestEventsSurviveAHardKillInTheMiddle"},
	{"the connection is cut before and after each statement", "./functions/crmevent", "TestACrashBetweenAnyTwoStatementsLosesAndDoublesNothing"},
	{"Postgres hangs: bytes go in and none come out", "./functions/hubspot", "TestWhenPostgresHangsHubSpotHearsOfItWhileItListens"},
	{"Postgres cannot be reached", "./functions/connections", "TestADatabaseThatIsDownIsUnavailableAndNothingIsStored"},
	{"a message is delivered again and again", "./functions/crmevent", "TestRedeliveryChangesNothing"},
	{"messages come in any order", "./functions/crmevent", "TestAnyOrderOfDeliveriesLeavesTheSameLedger"},
	{"a crash between sending a message and recording that", "./shared/outbox", "TestACrashBetweenSendingAndPuttingDownSendsTwiceUnderOneKey"},
	{"HubSpot answers 429 and 500", "./functions/reconcile", "TestAPortalThatAnswers429And500GetsEverythingInTheEnd"},
	{"HubSpot answers garbage, or half a body", "./shared/hubspot", "TestOddAnswersAreErrorsAndNotDeals"},
	{"HubSpot's daily limit is used up", "./shared/hubspot", "TestAUsedUpDayStopsTheOtherClientsOfThePortalToo"},
	{"HubSpot refuses, hangs or breaks off for a while", "./shared/hubspot", "TestPassingTroubleIsOvercome"},
	{"Meta hangs", "./functions/connections", "TestAMetaThatHangsIsUnavailable"},
	{"Meta makes a change and its answer is lost", "./functions/execute", "TestAWriteWhoseAnswerIsLostIsReadAndNeverSentAgain"},
	{"a token is refused in the middle of a run", "./functions/execute", "TestATokenThatIsRefusedHoldsTheChange"},
	{"two executors run at once", "./functions/execute", "TestTwoRunsAtOnceApplyEachChangeOnce"},
	{"the executor gets SIGTERM in the middle of a write", "./functions/execute", "TestARunThatIsStoppedFinishesItsWriteAndLeavesTheRest"},
	{"executors and sweeps are killed at random while Meta fails", "./functions/execute", "TestKilledAtRandom"},
	{"a sweep is cut off", "./functions/sweep", "TestASweepThatIsCutOffIsDoneOnceByTheNext"},
	{"a learning cycle is killed in each of its steps", "./shared/selflearning", "TestACycleThatIsKilledInAnyOfItsRealStepsLeavesWhatAnUndisturbedOneLeaves"},
	{"the language model is down", "./functions/refresh", "TestAModelThatIsDownDelaysThePlanAndSaysWhy"},
	{"embeddings fail", "./functions/index", "TestADeadEmbedderDelaysTheIndexing"},
	{"a receiver of notices hangs", "./functions/notify", "TestAReceiverThatHangsHoldsUpItsOwnTenantOnly"},
	{"Slack is dead, hangs or limits", "./functions/digest", "TestADeadOrHangingChannelStopsNothingElse"},
	{"Firestore is slow or down", "./shared/live", "TestASlowFirestoreHoldsNobodyUp"},
	{"Secret Manager is down", "./functions/connections", "TestASecretManagerThatIsDownLeavesNothingHalfWritten"},
	{"a crash between storing a secret and its row", "./functions/connections", "TestACrashBetweenTheSecretAndItsRowIsRepairedByTheNextRequest"},
	{"a webhook's secret is rotated under traffic", "./functions/hubspot", "TestASecretThatAnAdminRotatesIsTakenAtOnceBesideTheOneBefore"},
	{"an access token is rotated", "./shared/hubspot", "TestARotatedTokenIsPickedUp"},
	{"the issuer of sign-in tokens is down, and its key is rotated", "./shared/auth", "TestARotatedKeyIsFetchedAtOnce"},
	{"the database's password is changed under the functions", "./infra/migrate", "TestASecondRoleCarriesTheFunctionsWhileAPasswordChanges"},
	{"a lease is lost while its holder still works", "./shared/learning", "TestARunnerThatLostItsLeaseWritesNothing"},
	{"the clock stands at the end of each limit on visitors' data", "./functions/relay", "TestVisitorsDataGoesByTheClock"},
	{"clocks go forward and back for summer time", "./shared/slack", "TestTheNextSummaryIsDueByTheZonesClocks"},
	{"an upload is cut off", "./functions/campaigns", "TestAnUploadThatIsCutOffLeavesNothing"},
	{"uploads are slow, more of them than there are connections", "./functions/campaigns", "TestSlowUploadsTakeNoConnectionFromAnybody"},
}

// faulting runs the test of each kind so many times and prints what came of it.
func faulting(args []string) error {
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	times := flags.Int("times", 1, "how often each fault is made")
	only := flags.String("only", "", "only the kinds whose words hold this")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *times < 1 {
		return fmt.Errorf("-times must be at least 1")
	}
	failed := 0
	fmt.Printf("| fault | test | survived | took |\n|---|---|---|---|\n")
	for _, f := range faultKinds {
		if !strings.Contains(f.kind, *only) {
			continue
		}
		began := time.Now()
		passed, output := runFault(f, *times)
		if passed < *times {
			failed++
			fmt.Fprintf(os.Stderr, "%s\n", output)
		}
		fmt.Printf("| %s | `%s` | %d of %d | %.1f s |\n", f.kind, f.test, passed, *times, time.Since(began).Seconds())
	}
	if failed > 0 {
		return fmt.Errorf("%d kinds of faults were not survived each time", failed)
	}
	return nil
}

// runFault returns how often the test passed. A test that was skipped, or that is not
// there, has not.
func runFault(f faultKind, times int) (passed int, output []byte) {
	//nolint:gosec // the names are the list's above
	cmd := exec.Command("go", "test", "-json", "-count", fmt.Sprint(times), "-timeout", "60m", "-run", "^"+f.test+"$", f.folder)
	text, err := cmd.CombinedOutput()
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var event struct{ Action, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			output = append(append(output, lines.Bytes()...), '\n')
			continue
		}
		output = append(output, event.Output...)
		if event.Action == "pass" && event.Test == f.test {
			passed++
		}
	}
	if err != nil && passed == times {
		passed-- // something beside the test itself went wrong
	}
	return passed, output
}
