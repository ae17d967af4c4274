package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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
	{"a comparison's clock was a day ahead", "./functions/reconcile", "TestARunWhoseClockWasAheadLosesNoChange"},
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

	// The main flow, each time with another fault.
	{"connections to Postgres are slow: 10 ms more each way, 64 kB a second", "./infra/faults", "TestTheMainFlowSurvivesConnectionsThatAreSlow"},
	{"all connections to Postgres are cut, again and again", "./infra/faults", "TestTheMainFlowSurvivesConnectionsThatAreCut"},
	{"Postgres is killed and started again", "./infra/faults", "TestTheMainFlowSurvivesAPostgresThatIsKilledAndStartedAgain"},
	{"the disk is full for Postgres", "./infra/faults", "TestTheMainFlowSurvivesADiskThatIsFullForPostgres"},
	{"migrations run under traffic", "./infra/faults", "TestTheMainFlowSurvivesMigrationsUnderTraffic"},
	{"Pub/Sub redelivers, reorders and delivers twice at once", "./infra/faults", "TestTheMainFlowSurvivesAQueueThatRedeliversAndReorders"},
	{"access tokens expire in the middle", "./infra/faults", "TestTheMainFlowSurvivesTokensThatExpireInItsMiddle"},
	{"Secret Manager is down for a while", "./infra/faults", "TestTheMainFlowSurvivesASecretManagerThatIsDown"},
	{"our clock jumps back and forth by hours and by a day", "./infra/faults", "TestTheMainFlowSurvivesAClockThatJumps"},
	{"a day of 25 hours begins and ends", "./infra/faults", "TestTheMainFlowSurvivesADayOf25Hours"},
	{"a day of 23 hours begins and ends", "./infra/faults", "TestTheMainFlowSurvivesADayOf23Hours"},
	{"the whole system gets SIGTERM between acknowledging and handling", "./infra/local", "TestEventsSurviveAStopInTheMiddle"},
	{"HubSpot hangs", "./infra/faults", "TestTheMainFlowSurvivesAHubSpotThatHangs"},
	{"HubSpot answers 429", "./infra/faults", "TestTheMainFlowSurvivesAHubSpotThatAnswers429"},
	{"HubSpot answers 500", "./infra/faults", "TestTheMainFlowSurvivesAHubSpotThatAnswers500"},
	{"HubSpot answers half a body", "./infra/faults", "TestTheMainFlowSurvivesAHubSpotThatAnswersHalfABody"},
	{"HubSpot answers garbage", "./infra/faults", "TestTheMainFlowSurvivesAHubSpotThatAnswersGarbage"},
	{"Meta hangs while leads are read", "./infra/faults", "TestTheMainFlowSurvivesAMetaThatHangs"},
	{"Meta answers 429", "./infra/faults", "TestTheMainFlowSurvivesAMetaThatAnswers429"},
	{"Meta answers 500", "./infra/faults", "TestTheMainFlowSurvivesAMetaThatAnswers500"},
	{"Meta answers half a body", "./infra/faults", "TestTheMainFlowSurvivesAMetaThatAnswersHalfABody"},
	{"Meta answers garbage", "./infra/faults", "TestTheMainFlowSurvivesAMetaThatAnswersGarbage"},
	{"Gemini hangs", "./infra/faults", "TestTheMainFlowSurvivesAGeminiThatHangs"},
	{"Gemini answers 429", "./infra/faults", "TestTheMainFlowSurvivesAGeminiThatAnswers429"},
	{"Gemini answers 500", "./infra/faults", "TestTheMainFlowSurvivesAGeminiThatAnswers500"},
	{"Gemini answers half a body", "./infra/faults", "TestTheMainFlowSurvivesAGeminiThatAnswersHalfABody"},
	{"Gemini answers garbage", "./infra/faults", "TestTheMainFlowSurvivesAGeminiThatAnswersGarbage"},
}

// faulting runs the test of each kind so many times and prints what came of it.
func faulting(args []string) error {
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	times := flags.Int("times", 1, "how often each fault is made")
	only := flags.String("only", "", "only the kinds whose words, folder or test match this `regexp`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if *times < 1 {
		return fmt.Errorf("-times must be at least 1")
	}
	folder, err := os.MkdirTemp("", "faults-")
	if err != nil {
		return fmt.Errorf("make a folder for the tests' programs: %w", err)
	}
	defer os.RemoveAll(folder)
	var folders []string
	kinds := map[string][]faultKind{}
	for _, f := range faultKinds {
		if !chosen.MatchString(f.kind + " " + f.folder + " " + f.test) {
			continue
		}
		if kinds[f.folder] == nil {
			folders = append(folders, f.folder)
		}
		kinds[f.folder] = append(kinds[f.folder], f)
	}
	failed := 0
	fmt.Printf("| fault | test | survived |\n|---|---|---|\n")
	for _, tests := range folders {
		passed, output := runFaults(filepath.Join(folder, "tests"), tests, kinds[tests], *times)
		whole := true
		for _, f := range kinds[tests] {
			if passed[f.test] < *times {
				failed++
				whole = false
			}
			fmt.Printf("| %s | `%s` | %d of %d |\n", f.kind, f.test, passed[f.test], *times)
		}
		if !whole {
			fmt.Fprintf(os.Stderr, "%s\n", output)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d kinds of faults were not survived each time", failed)
	}
	return nil
}

// runFaults builds the tests of a folder and runs those of all kinds together, so many
// times, beside each other where they let that happen. It returns how often each passed. A
// test that was skipped, or that is not there, has not passed.
func runFaults(program, folder string, kinds []faultKind, times int) (passed map[string]int, output []byte) {
	//nolint:gosec // the folders are the list's above
	if text, err := exec.Command("go", "test", "-c", "-o", program, folder).CombinedOutput(); err != nil {
		return nil, fmt.Appendf(text, "build the tests of %s: %v", folder, err)
	}
	names := make([]string, len(kinds))
	for i, f := range kinds {
		names[i] = f.test
	}
	//nolint:gosec // the names are the list's above
	cmd := exec.Command(program, "-test.v", "-test.count", fmt.Sprint(times), "-test.timeout", "6h", "-test.parallel", fmt.Sprint(atOnce),
		"-test.run", "^("+strings.Join(names, "|")+")$")
	cmd.Dir = folder
	output, err := cmd.CombinedOutput()
	passed = map[string]int{}
	clean := true
	for line := range bytes.Lines(output) {
		if rest, ok := bytes.CutPrefix(line, []byte("--- PASS: ")); ok {
			name, _, _ := bytes.Cut(rest, []byte(" "))
			passed[string(name)]++
		}
		clean = clean && !bytes.HasPrefix(line, []byte("--- FAIL: "))
	}
	if err != nil && clean { // something beside the tests themselves went wrong
		return nil, output
	}
	return passed, output
}

// atOnce is how many tests of a folder run beside each other: most of them wait.
const atOnce = 8
