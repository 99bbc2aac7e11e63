package pagetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"reqpm/internal/store"
)

// people are users that nobody can log in as, none of them an admin, so that a server still offers to make the
// first one; their roles and tokens, and what they changed.
func (s *seeder) people(ctx context.Context, tx *store.Tx) error {
	billing := s.projects["billing-api"].ID
	for i, u := range []store.User{{Name: "ada", Role: "maintainer"}, {Name: "lena", Role: "maintainer"}, {Name: "sam.a-very-long-name-of-somebody-who-has-four-first-names", Role: "viewer"}, {Name: "tom", Role: "none", Disabled: true}, {Name: Hidden + Markup + Turned, Role: "viewer"}} {
		u.Hash = "!" // no password has it
		made, err := tx.CreateUser(ctx, u)
		if err != nil {
			return err
		}
		if i == 2 || i == 3 {
			err = tx.SetMember(ctx, made.ID, billing, []string{"builder", "maintainer"}[i-2])
		}
		t := store.Token{Hash: fmt.Sprintf("seed %d", i), Name: []string{"CI of billing-api", "laptop", "cron " + Markup + Hidden + Script + Long, "old", Turned + Emoji}[i], Owner: made.ID, Role: []string{"builder", "admin", "viewer", "viewer", "viewer"}[i], Expires: time.Now().Add(time.Duration(3+40*i) * 24 * time.Hour)}
		if i == 0 {
			t.Project = billing
		}
		if err == nil {
			_, err = tx.CreateToken(ctx, t)
		}
		if err != nil {
			return err
		}
	}
	for i, e := range []store.AuditEntry{
		{Who: "ada", Action: "user.create", Object: "user lena", Detail: json.RawMessage(`{"role":"maintainer"}`)},
		{Who: "lena (token laptop)", Action: "project.create", Object: "billing-api", Project: billing},
		{Who: "command line", Action: "limit.set", Object: "target el10", Detail: json.RawMessage(`{"value":{"from":null,"to":3}}`)},
		{Who: "lena", Action: "run.start", Object: "billing-api", Project: billing, Detail: json.RawMessage(`{"run":19}`)},
		{Who: "ada", Action: "schedule.change", Object: "clean-checkouts", Detail: json.RawMessage(`{"enabled":{"from":true,"to":false},"every":{"from":"02:00","to":"02:00"}}`)},
		{Who: "ada", Action: "setting.set", Object: "server", Detail: json.RawMessage(`{"blocked":{"from":[],"to":["leftpad","urllib3<1.26"]},"log_days":{"from":30,"to":14}}`)},
		{Who: "odd " + Markup + Turned + Hidden, Action: "project.change", Object: Markup + Script + Long, Detail: json.RawMessage(`{"ref":{"from":"main","to":"release/2.8 ` + "\u202e\u200b" + `<b>` + Long + `"}}`)},
	} {
		e.Address = fmt.Sprintf("192.0.2.%d", 10+i%3)
		if err := tx.AddAudit(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// messages are a push hook that was told of pushes, and channels that were told of runs.
func (s *seeder) messages(ctx context.Context, tx *store.Tx) error {
	billing := s.projects["billing-api"].ID
	if err := tx.AddPushHook(ctx, store.PushHook{Project: billing, Sealed: []byte{}, Branches: []string{"main", "release/*"}}); err != nil {
		return err
	}
	run := s.runs["billing-api"]
	for i, d := range []store.PushDelivery{
		{Event: "ping", Decision: "ping", Why: "the forge tries the address"},
		{Event: "push", Ref: "docs", Commit: "0d3c77aa", Decision: "ignored", Why: "docs is none of main, release/*"},
		{Event: "push", Ref: "feature/" + Markup + Turned + Hidden + Long, Commit: "9f1b22cd", Decision: "ignored", Why: "feature/" + Markup + Hidden + " is none of main, release/*"},
		{Event: "push", Ref: "main", Commit: "7c1e4fa0", Decision: "run", Why: "main is told of", Run: run},
		{Event: "push", Ref: "main", Commit: "7c1e4fa0", Decision: "joined", Why: "run 9 waits and is of the commit", Run: run},
	} {
		d.Project, d.Forge, d.Delivery, d.Address = billing, "github", fmt.Sprintf("delivery %d", i), "192.0.2.200"
		if _, err := tx.AddPush(ctx, d); err != nil {
			return err
		}
	}
	for _, c := range []store.Channel{
		{Name: "on call", Kind: "webhook", Events: []string{"failed", "fixed"}, Settings: json.RawMessage(`{"url":"https://hooks.example.org/…"}`), Enabled: true},
		{Name: "release list " + Markup + Hidden + Long, Kind: "email", Events: []string{"succeeded"}, Settings: json.RawMessage(`{"host":"mail.example.org","to":["releases@example.org","<b>\u202e` + Long + `@example.org"]}`)},
		{Project: billing, Name: "team", Kind: "slack", Events: []string{"always"}, Settings: json.RawMessage(`{"url":"https://chat.example.org/…"}`), Enabled: true},
	} {
		made, err := tx.AddChannel(ctx, c)
		if err != nil {
			return err
		}
		if err := s.told(ctx, tx, made, run); err != nil {
			return err
		}
	}
	return nil
}

// told are what a channel was told: one message of each state.
func (s *seeder) told(ctx context.Context, tx *store.Tx, c store.Channel, run int64) error {
	for i, n := range []store.Notification{
		{Event: "fixed", State: store.NotifySent, Status: "200 OK", Attempts: 1},
		{Event: "succeeded", State: store.NotifySkipped, Status: "the channel is not told of this", Attempts: 1},
		{Event: "failed", State: store.NotifyFailed, Status: "503 Service Unavailable", Answer: "<h1>" + Markup + "</h1>" + Script + Terminal + Hidden + Long, Attempts: 6},
		{Event: "failed", State: store.NotifyWaiting, Status: "dial tcp: i/o timeout", Attempts: 2, Next: time.Now().Add(9 * time.Minute)},
	} {
		n.Channel, n.Project, n.Run, n.Ended = c.ID, s.projects["billing-api"].ID, run-int64(i%2), time.Now().Add(-time.Duration(i+1)*time.Hour)
		made, err := tx.AddNotification(ctx, n)
		n.ID = made.ID
		if err = errors.Join(err, tx.EndNotification(ctx, n)); err != nil {
			return err
		}
	}
	return nil
}
