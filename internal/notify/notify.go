// Package notify tells people of runs that have ended: by e-mail, by signed webhooks, in Slack's and in Matrix's shape.
//
//	a run ends → a row for each channel, in the same transaction → Run sends it, until it is sent or given up
//
// A channel belongs to a project, or is for all of them. One message says what changed against the run before. It is sent at
// least once: who takes part after a crash may get one twice, with the same id. Where channels lead is said by
// maintainers of projects, so addresses inside are refused unless an administrator allows them, and redirections are not followed.
//
// Any number of processes may Run: each row is given to one of them at a time. All methods may be called from any goroutine.
package notify

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// SettingInside is the setting that has the networks inside that messages may be sent to, as CIDR, by comma.
const SettingInside = "notify.inside"

// Config is what New needs; Store and Vault must be set.
type Config struct {
	Store *store.Store
	Vault *auth.Vault
	// PublicURL is how people reach the server, for links; "": messages have none.
	PublicURL string
	Timeout   time.Duration   // of one attempt; default 30 s
	Poll      time.Duration   // how often it is looked for what is to be sent; default 1 s
	BackOff   []time.Duration // before the second attempt, the third, …; after the last it is given up. Default: 30 s, 2 m, 10 m, 1 h, 6 h
	Roots     *x509.CertPool  // nil: the system's
	Log       *slog.Logger    // nil: nothing is logged
}

// Notifier sends messages.
type Notifier struct{ cfg Config }

// New makes a Notifier. It has no goroutines before Run.
func New(cfg Config) *Notifier {
	cfg.Timeout = cmp.Or(cfg.Timeout, 30*time.Second)
	cfg.Poll = cmp.Or(cfg.Poll, time.Second)
	if cfg.BackOff == nil {
		cfg.BackOff = []time.Duration{30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Notifier{cfg}
}

// Networks reads SettingInside: auth.ErrInvalid with what is not a network.
func Networks(text string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		p, err := netip.ParsePrefix(part)
		if address, addressErr := netip.ParseAddr(part); err != nil && addressErr == nil {
			p, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %.60q is not a network (10.1.2.0/24)", auth.ErrInvalid, part)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

func (n *Notifier) allowed(ctx context.Context) ([]netip.Prefix, error) {
	text, err := n.cfg.Store.Setting(ctx, SettingInside)
	if err != nil {
		return nil, err
	}
	return Networks(text)
}

// Add makes a channel, in the transaction that notes who did it. ErrChannel: it cannot be one. key is the one that messages will be
// signed with where that was made here: it is shown once.
func (n *Notifier) Add(ctx context.Context, tx *store.Tx, c store.Channel, s ChannelSettings) (made store.Channel, key string, err error) {
	given := s.Key
	if err := errors.Join(checkChannel(c), s.check(c.Kind)); err != nil {
		return c, "", err
	}
	if c, err = tx.AddChannel(ctx, c); err != nil {
		return c, "", err
	}
	if err := s.store(n.cfg.Vault, &c); err != nil {
		return c, "", err
	}
	if given == "" {
		key = s.Key
	}
	return c, key, tx.SetChannel(ctx, c)
}

// Change writes a channel's name, events and whether it is enabled, and its settings where they are given. Secrets that are
// left out stay, as long as they go to the same place.
func (n *Notifier) Change(ctx context.Context, tx *store.Tx, c store.Channel, s *ChannelSettings) (store.Channel, error) {
	if err := checkChannel(c); err != nil {
		return c, err
	}
	if s != nil {
		before, err := open(n.cfg.Vault, c)
		if err != nil {
			return c, err
		}
		changed := *s
		if changed.Port == 0 && changed.Security == before.Security {
			changed.Port = before.Port
		}
		changed = changed.keep(before)
		if err := changed.check(c.Kind); err != nil {
			return c, err
		}
		if err := changed.store(n.cfg.Vault, &c); err != nil {
			return c, err
		}
	}
	return c, tx.SetChannel(ctx, c)
}

// Test sends a message to a channel now, once, and says what became of it.
func (n *Notifier) Test(ctx context.Context, c store.Channel) (store.Notification, error) {
	row, err := n.cfg.Store.AddNotification(ctx, store.Notification{Channel: c.ID, Project: c.Project, Event: trial, Attempts: 1, Next: time.Now().Add(n.lease())})
	if err != nil {
		return row, err
	}
	status, answer, _, err := n.attempt(ctx, row)
	row.State, row.Status, row.Answer = store.NotifySent, status, answer
	if err != nil {
		row.State = store.NotifyFailed
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := n.cfg.Store.EndNotification(ending, row); err != nil {
		return row, err
	}
	return n.cfg.Store.Notification(ending, row.ID)
}

// lease is how long an attempt belongs to who makes it.
func (n *Notifier) lease() time.Duration { return 2*n.cfg.Timeout + 30*time.Second }

// atOnce is how many messages are sent at the same time.
const atOnce = 4

// Run sends what is due until ctx ends. Errors of the database are logged and outlived.
func (n *Notifier) Run(ctx context.Context) {
	tick := time.NewTicker(n.cfg.Poll)
	defer tick.Stop()
	for {
		if err := n.sendDue(ctx); err != nil && ctx.Err() == nil {
			n.cfg.Log.Warn("messages about runs cannot be sent", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *Notifier) sendDue(ctx context.Context) error {
	for ctx.Err() == nil {
		due, err := n.cfg.Store.DueNotification(ctx)
		if err != nil || !due {
			return err
		}
		rows, err := n.cfg.Store.ClaimNotifications(ctx, n.lease(), atOnce)
		if err != nil || len(rows) == 0 {
			return err
		}
		var group sync.WaitGroup
		for _, row := range rows {
			group.Go(func() {
				if err := n.send(ctx, row); err != nil && ctx.Err() == nil {
					n.cfg.Log.Warn("what became of a message cannot be noted", "message", row.ID, "error", err)
				}
			})
		}
		group.Wait()
	}
	return nil
}

// send makes an attempt and notes what became of it.
func (n *Notifier) send(ctx context.Context, row store.Notification) error {
	status, answer, event, err := n.attempt(ctx, row)
	if ctx.Err() != nil {
		return ctx.Err() // whoever comes when the lease has ended sends it again
	}
	row.Status, row.Answer, row.Event = status, answer, cmp.Or(event, row.Event)
	wait, hasLater := errors.AsType[later](err)
	_, hopeless := errors.AsType[permanent](err)
	switch tries := int(row.Attempts); {
	case errors.Is(err, errNotWanted):
		row.State, row.Status = store.NotifySkipped, "the channel is not told of this"
	case err == nil:
		row.State = store.NotifySent
	case hopeless || tries > len(n.cfg.BackOff):
		row.State = store.NotifyFailed
		n.cfg.Log.Warn("a message about a run was given up", "message", row.ID, "channel", row.Channel, "run", row.Run, "status", status)
	default:
		row.Next = time.Now().Add(n.cfg.BackOff[tries-1])
		if hasLater {
			row.Next = time.Now().Add(max(wait.after, n.cfg.BackOff[tries-1]))
		}
	}
	return n.cfg.Store.EndNotification(ctx, row)
}

// errNotWanted: nothing that the channel is told of.
var errNotWanted = errors.New("not wanted")

// attempt sends a row's message once. Nothing that it returns has the channel's secrets.
func (n *Notifier) attempt(ctx context.Context, row store.Notification) (status, answer, event string, err error) {
	c, err := n.cfg.Store.Channel(ctx, row.Channel)
	if err != nil {
		return "", "", "", err
	}
	s, err := open(n.cfg.Vault, c)
	if err != nil {
		return err.Error(), "", "", err
	}
	allowed, err := n.allowed(ctx)
	if err != nil {
		return err.Error(), "", "", err
	}
	message := testMessage(Project{ID: c.Project})
	if row.Run != 0 {
		run, err := n.cfg.Store.Run(ctx, row.Run)
		if errors.Is(err, store.ErrNotFound) {
			return "the run is not there any more", "", "", permanent{err}
		}
		if err == nil {
			message, err = n.compose(ctx, run)
		}
		if err != nil {
			return err.Error(), "", "", err
		}
		// Replayed by hand, it is wanted whatever the channel's events are now.
		if !run.State.Ended() || !run.Finished.Equal(row.Ended) && row.Replays == 0 || row.Replays == 0 && !wants(c.Events, message.Event) || !c.Enabled && row.Replays == 0 {
			return "", "", message.Event, errNotWanted
		}
	}
	id := fmt.Sprintf("reqpm-%d-%d", row.ID, row.Replays)
	status, answer, err = n.sendTo(ctx, c.Kind, s, message, id, allowed)
	if err != nil {
		status = line(err.Error())
	}
	clean := s.redactor()
	return clean.String(status), clean.String(answer), message.Event, err
}
