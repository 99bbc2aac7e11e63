package pages

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/notify"
	"reqpm/internal/store"
)

// Notifications: where people are told of runs, and what became of each message. A project's channels are its maintainers';
// those of all projects are administrators'.

func (p *Pages) channelPages() {
	for _, o := range []struct {
		prefix string
		role   auth.Role
		about  about
	}{{"", auth.Admin, nil}, {"/projects/{project}", auth.Maintainer, aboutProject}} {
		p.get(o.prefix+"/channels", o.role, o.about, p.channels)
		p.post(o.prefix+"/channels", o.role, o.about, p.addChannel)
		p.post(o.prefix+"/channels/{channel}", o.role, o.about, p.changeChannel)
		p.post(o.prefix+"/channels/{channel}/test", o.role, o.about, p.testChannel)
		p.post(o.prefix+"/channels/{channel}/delete", o.role, o.about, p.deleteChannel)
		p.post(o.prefix+"/notifications/{notification}/replay", o.role, o.about, p.replayMessage)
	}
}

type channelsData struct {
	Project  store.Project // zero: of all projects
	Base     string        // of the addresses
	Channels []channelRow
	Messages []messageRow
	Next     string
	Only     string // state
	Kind     string // of the channel that is made
	With     func(name, value string) string
	CanSend  bool
}

type channelRow struct {
	store.Channel
	Where string // it leads, without secrets
}

type messageRow struct {
	store.Notification
	Channel string
	Project string
	Number  int64 // of the run; 0: none
}

// channelBase is where the channels of whatever a page is about are.
func (q *request) channelBase() string {
	if q.project.ID != 0 {
		return projectPath(q.project.Name)
	}
	return ""
}

func (p *Pages) channels(q *request) (view, error) {
	query := q.URL.Query()
	d := channelsData{Project: q.project, Base: q.channelBase(), Only: query.Get("state"), Kind: query.Get("kind"), With: q.with, CanSend: p.cfg.Notify != nil}
	if !slices.Contains(notify.Kinds, d.Kind) {
		d.Kind = notify.Webhook
	}
	all, err := q.store().Channels(q.ctx(), q.project.ID)
	if err != nil {
		return view{}, err
	}
	names := map[int64]string{}
	for _, c := range all {
		names[c.ID] = c.Name
		d.Channels = append(d.Channels, channelRow{c, channelWhere(c)})
	}
	filter := store.NotificationFilter{Project: q.project.ID, Own: q.project.ID != 0}
	if slices.Contains([]string{store.NotifyWaiting, store.NotifySent, store.NotifyFailed, store.NotifySkipped}, d.Only) {
		filter.States = []string{d.Only}
	}
	part, err := q.store().Notifications(q.ctx(), filter, store.Page{Limit: 40, Cursor: query.Get("cursor")})
	if err != nil {
		return view{}, err
	}
	projects := projectNames{q: q}
	for _, n := range part.Items {
		row := messageRow{Notification: n, Channel: names[n.Channel]}
		if row.Channel == "" { // of a project's own
			if c, err := q.store().Channel(q.ctx(), n.Channel); err == nil {
				row.Channel = c.Name
			}
		}
		if n.Project != 0 {
			row.Project = projects.of(n.Project)
		}
		if n.Run != 0 {
			if r, err := q.store().Run(q.ctx(), n.Run); err == nil {
				row.Number = r.Number
			}
		}
		d.Messages = append(d.Messages, row)
	}
	if part.Next != "" {
		d.Next = q.with("cursor", part.Next)
	}
	v := view{Title: "Notifications", Nav: "channels"}
	if q.project.ID != 0 {
		v = q.projectView("Notifications of "+q.project.Name, "project-channels", projectData{})
		v.Crumbs = append(v.Crumbs, crumb{Text: "Notifications"})
	}
	v.Body, v.Wake = channelsPage(d), wakeAfter(q.ctx(), queueWake) // what becomes of a message is no event
	return v, nil
}

// channelWhere is where a channel leads, in a few words.
func channelWhere(c store.Channel) string {
	var s notify.ChannelSettings
	_ = json.Unmarshal(c.Settings, &s) // what was written by notify
	switch c.Kind {
	case notify.Email:
		return plain(strings.Join(s.To, ", ") + " by " + s.Host)
	case notify.Matrix:
		return plain(s.Room + " at " + s.Homeserver)
	}
	return plain(s.URL)
}

// settingsOfForm are a channel's settings as a form says them; what does not belong to the kind is left out.
func (q *request) settingsOfForm(kind string) (notify.ChannelSettings, error) {
	text := func(name string) string { return strings.TrimSpace(q.PostFormValue(name)) }
	switch kind {
	case notify.Webhook, notify.Slack:
		return notify.ChannelSettings{URL: text("url")}, nil
	case notify.Matrix:
		return notify.ChannelSettings{Homeserver: text("homeserver"), Room: text("room"), Token: q.PostFormValue("token")}, nil
	case notify.Email:
		s := notify.ChannelSettings{Host: text("host"), Security: text("security"), Username: text("username"), Password: q.PostFormValue("password"), From: text("from"), To: patterns(q.PostFormValue("to"))}
		if port := text("port"); port != "" {
			n, err := strconv.Atoi(port)
			if err != nil {
				return s, &invalid{"port", "A number, or nothing."}
			}
			s.Port = n
		}
		return s, nil
	}
	return notify.ChannelSettings{}, &invalid{"kind", "There is no such kind of channel."}
}

// channelError puts what is wrong with a channel beside its field.
func channelError(err error) error {
	if !errors.Is(err, notify.ErrChannel) {
		return err
	}
	text := strings.TrimPrefix(err.Error(), notify.ErrChannel.Error()+": ")
	name, rest, found := strings.Cut(text, ": ")
	if !found || strings.Contains(name, " ") {
		return &invalid{"", sentence(text)}
	}
	return &invalid{name, sentence(rest)}
}

var errNoNotify = &invalid{"", "This server sends no messages."}

func (p *Pages) addChannel(q *request) error {
	if p.cfg.Notify == nil {
		return errNoNotify
	}
	kind := q.PostFormValue("kind")
	settings, err := q.settingsOfForm(kind)
	if err != nil {
		return err
	}
	var made store.Channel
	var key string
	err = q.store().Write(q.ctx(), func(tx *store.Tx) (err error) {
		made, key, err = p.cfg.Notify.Add(q.ctx(), tx, store.Channel{Project: q.project.ID, Name: strings.TrimSpace(q.PostFormValue("name")), Kind: kind, Events: q.PostForm["event"], Enabled: true}, settings)
		if err != nil {
			return err
		}
		return q.who.Audit(q.ctx(), tx, auth.Change{Action: "channel.create", Object: made.Name, Project: q.project.ID, Detail: map[string]any{"kind": made.Kind, "events": made.Events}})
	})
	if err != nil {
		return channelError(err)
	}
	if key == "" {
		return q.again("The channel is made: try it.", q.channelBase()+"/channels", p.channels)
	}
	return q.againWith("The channel is made: try it.", q.channelBase()+"/channels", p.channels, secretOnce("The key of "+plain(made.Name), "Messages are signed with it (Standard Webhooks). It is shown this once.", key))
}

// channel is one of the page's own: nobody reaches another's by its number.
func (q *request) channel() (store.Channel, error) {
	id, err := q.pathID("channel")
	if err != nil {
		return store.Channel{}, err
	}
	c, err := q.store().Channel(q.ctx(), id)
	if err == nil && c.Project != q.project.ID {
		err = store.ErrNotFound
	}
	return c, err
}

// changeChannel switches a channel on or off, or sets what it is told of.
func (p *Pages) changeChannel(q *request) error {
	c, err := q.channel()
	if err != nil {
		return err
	}
	if p.cfg.Notify == nil {
		return errNoNotify
	}
	was := c
	if text := q.PostFormValue("enabled"); text != "" {
		c.Enabled = text == "yes"
	}
	if events := q.PostForm["event"]; len(events) > 0 {
		c.Events = events
	}
	err = q.store().Write(q.ctx(), func(tx *store.Tx) (err error) {
		if c, err = p.cfg.Notify.Change(q.ctx(), tx, c, nil); err != nil {
			return err
		}
		return q.who.Audit(q.ctx(), tx, auth.Change{Action: "channel.change", Object: c.Name, Project: c.Project, Detail: map[string]any{"events": auth.FromTo(was.Events, c.Events), "enabled": auth.FromTo(was.Enabled, c.Enabled)}})
	})
	if err != nil {
		return channelError(err)
	}
	said := plain(c.Name) + " is told of runs again."
	if !c.Enabled {
		said = plain(c.Name) + " is told of nothing."
	}
	return q.again(said, q.channelBase()+"/channels", p.channels)
}

func (p *Pages) deleteChannel(q *request) error {
	c, err := q.channel()
	if err != nil {
		return err
	}
	err = q.write(auth.Change{Action: "channel.delete", Object: c.Name, Project: c.Project}, func(tx *store.Tx) error { return tx.DeleteChannel(q.ctx(), c.ID) })
	if err != nil {
		return err
	}
	return q.again("The channel is gone.", q.channelBase()+"/channels", p.channels)
}

// testChannel sends a message now, and says what became of it.
func (p *Pages) testChannel(q *request) error {
	c, err := q.channel()
	if err != nil {
		return err
	}
	if p.cfg.Notify == nil {
		return errNoNotify
	}
	n, err := p.cfg.Notify.Test(q.ctx(), c)
	if err != nil {
		return err
	}
	if n.State != store.NotifySent {
		return &invalid{"", "The message did not arrive: " + sentence(plain(firstLine(n.Status, 200)))}
	}
	return q.again("The message was taken: "+plain(firstLine(n.Status, 100)), q.channelBase()+"/channels", p.channels)
}

// replayMessage has a message sent again.
func (p *Pages) replayMessage(q *request) error {
	id, err := q.pathID("notification")
	if err != nil {
		return err
	}
	n, err := q.store().Notification(q.ctx(), id)
	if err != nil {
		return err
	}
	if q.project.ID != 0 { // of the project's own channels only
		c, err := q.store().Channel(q.ctx(), n.Channel)
		if err == nil && c.Project != q.project.ID {
			err = store.ErrNotFound
		}
		if err != nil {
			return err
		}
	}
	err = q.write(auth.Change{Action: "notification.replay", Project: n.Project, Detail: map[string]any{"notification": id}}, func(tx *store.Tx) error { return tx.ReplayNotification(q.ctx(), id) })
	if err != nil {
		return err
	}
	return q.again("It is sent again.", q.channelBase()+"/channels", p.channels)
}

// What channelpage.templ says.

func messageState(n store.Notification) string {
	switch n.State {
	case store.NotifySent:
		return "succeeded"
	case store.NotifyFailed:
		return "failed"
	case store.NotifySkipped:
		return "skipped"
	}
	if n.Attempts > 0 {
		return "waiting"
	}
	return "queued"
}

func messageWord(n store.Notification) string {
	switch n.State {
	case store.NotifySent:
		return "Sent"
	case store.NotifyFailed:
		return "Given up"
	case store.NotifySkipped:
		return "Not told"
	}
	if n.Attempts > 0 {
		return "Tried again"
	}
	return "To be sent"
}

func messageTabs(d channelsData) []tab {
	var all []tab
	for _, s := range [][2]string{{"", "All"}, {store.NotifyWaiting, "Waiting"}, {store.NotifySent, "Sent"}, {store.NotifyFailed, "Given up"}} {
		all = append(all, tab{Text: s[1], Path: d.Base + "/channels" + map[bool]string{true: "?state=" + s[0]}[s[0] != ""], Current: d.Only == s[0]})
	}
	return all
}

func kindTabs(d channelsData) []tab {
	var all []tab
	for _, kind := range notify.Kinds {
		all = append(all, tab{Text: kindText(kind), Path: d.With("kind", kind), Current: d.Kind == kind})
	}
	return all
}

func kindText(kind string) string {
	return map[string]string{notify.Email: "E-mail", notify.Webhook: "Webhook", notify.Slack: "Slack", notify.Matrix: "Matrix"}[kind]
}

func eventText(event string) string {
	return map[string]string{notify.Failed: "failed", notify.Fixed: "fixed: succeeded after a failure", notify.Succeeded: "succeeded", notify.Always: "every end, also cancelled ones"}[event]
}

func attemptsText(n store.Notification) string {
	text := plural(int(n.Attempts), "attempt")
	if n.Replays > 0 {
		text += ", sent again " + plural(int(n.Replays), "time")
	}
	return text
}

func (n messageRow) about() string {
	switch {
	case n.Number != 0:
		return n.Project + " run " + itoa(n.Number)
	case n.Run != 0:
		return n.Project + ", a run that was removed"
	}
	return "a test"
}

// due says when a message that waits is tried; zero: it does not wait.
func (n messageRow) due() time.Time {
	if n.State == store.NotifyWaiting && n.Attempts > 0 {
		return n.Next
	}
	return time.Time{}
}
