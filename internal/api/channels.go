package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"reqpm/internal/auth"
	"reqpm/internal/notify"
	"reqpm/internal/store"
)

// Channels are where people want to be told of runs: a project's own, by its maintainers, and those of all projects, by
// administrators. Both have the same operations below different addresses.

// Channel is a channel as answers have it; Settings have no secrets, Key is there once.
type Channel struct {
	ID       int64                  `json:"id"`
	Project  int64                  `json:"project,omitempty" doc:"absent: of all projects"`
	Name     string                 `json:"name"`
	Kind     string                 `json:"kind" enum:"email,webhook,slack,matrix"`
	Events   []string               `json:"events"`
	Enabled  bool                   `json:"enabled"`
	Settings notify.ChannelSettings `json:"settings" doc:"without secrets; of a URL the host"`
	Key      string                 `json:"key,omitempty" doc:"shown once: what messages of a webhook are signed with"`
	Created  time.Time              `json:"created"`
	Updated  time.Time              `json:"updated"`
}

func channelView(c store.Channel) Channel {
	v := Channel{ID: c.ID, Project: c.Project, Name: c.Name, Kind: c.Kind, Events: c.Events, Enabled: c.Enabled, Created: c.Created, Updated: c.Updated}
	_ = json.Unmarshal(c.Settings, &v.Settings) // what was written by notify
	return v
}

// Notification is a message and what became of it.
type Notification struct {
	ID       int64      `json:"id"`
	Channel  int64      `json:"channel"`
	Project  int64      `json:"project,omitempty"`
	Run      int64      `json:"run,omitempty" doc:"absent: somebody tried the channel"`
	Event    string     `json:"event,omitempty"`
	State    string     `json:"state" enum:"waiting,sent,failed,skipped" doc:"skipped: nothing that the channel is told of"`
	Attempts int64      `json:"attempts"`
	Replays  int64      `json:"replays,omitempty"`
	Next     *time.Time `json:"next,omitempty" doc:"the next attempt"`
	Status   string     `json:"status,omitempty" doc:"how the last attempt went"`
	Answer   string     `json:"answer,omitempty" doc:"what was answered, its beginning"`
	Created  time.Time  `json:"created"`
	Finished *time.Time `json:"finished,omitempty"`
}

func notificationView(n store.Notification) Notification {
	v := Notification{ID: n.ID, Channel: n.Channel, Project: n.Project, Run: n.Run, Event: n.Event, State: n.State, Attempts: n.Attempts, Replays: n.Replays,
		Status: n.Status, Answer: n.Answer, Created: n.Created, Finished: at(n.Finished)}
	if n.State == store.NotifyWaiting {
		v.Next = at(n.Next)
	}
	return v
}

// owner is whose channels an operation is about: the project of its address; 0, the server, where that has none. It is asked
// of the address itself, so that one set of inputs serves both.
func (a *API) owner(ctx context.Context) (int64, error) {
	id, _ := ctx.Value(pathID{}).(string)
	if id == "" {
		return 0, nil
	}
	p, err := a.project(ctx, id)
	return p.ID, err
}

type channelOutput struct{ Body Channel }
type notificationOutput struct{ Body Notification }

// NewChannel is what people say of a channel.
type NewChannel struct {
	Name     string                 `json:"name" minLength:"1" maxLength:"100"`
	Kind     string                 `json:"kind" enum:"email,webhook,slack,matrix"`
	Events   []string               `json:"events" minItems:"1" maxItems:"4" nullable:"false" enum:"failed,fixed,succeeded,always" doc:"fixed: succeeded after the run before had failed; always: also cancelled ones"`
	Disabled bool                   `json:"disabled,omitempty"`
	Settings notify.ChannelSettings `json:"settings"`
}

type addChannelInput struct {
	Body NewChannel
}

type channelInput struct {
	Channel int64 `path:"channel" minimum:"1"`
}

type changeChannelInput struct {
	Channel int64 `path:"channel" minimum:"1"`
	Body    struct {
		Name     *string                 `json:"name,omitempty" minLength:"1" maxLength:"100"`
		Events   *[]string               `json:"events,omitempty" minItems:"1" maxItems:"4" enum:"failed,fixed,succeeded,always"`
		Enabled  *bool                   `json:"enabled,omitempty"`
		Settings *notify.ChannelSettings `json:"settings,omitempty" doc:"all of them; secrets that are left out stay while they go to the same place"`
	}
}

type listNotificationsInput struct {
	Page
	Channel int64  `query:"channel" minimum:"1"`
	Run     int64  `query:"run" minimum:"1"`
	State   string `query:"state" maxLength:"60" doc:"several by comma"`
}

type notificationInput struct {
	Notification int64 `path:"notification" minimum:"1"`
}

func (a *API) channelOperations() {
	most := 64
	id := &huma.Param{Name: "id", In: "path", Required: true, Description: "id or name of the project", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &most}}
	a.channels("/projects/{id}", "project-", operation{about: aboutProject, role: auth.Maintainer, tag: "notifications", params: []*huma.Param{id}})
	a.channels("", "", operation{role: auth.Admin, tag: "notifications"})
	register(a, operation{method: http.MethodGet, path: "/notify/inside", id: "get-notify-inside", summary: "Networks inside that messages may be sent to", role: auth.Admin, tag: "notifications"}, a.getInside)
	register(a, operation{method: http.MethodPut, path: "/notify/inside", id: "set-notify-inside", summary: "Change them; loopback, private and link-local addresses are refused otherwise", role: auth.Admin, tag: "notifications"}, a.setInside)
}

// channels adds the operations for one owner.
func (a *API) channels(prefix, id string, base operation) {
	op := func(method, path, name, summary string, status int) operation {
		o := base
		o.method, o.path, o.id, o.summary, o.status = method, prefix+path, id+name, summary, status
		return o
	}
	add := op(http.MethodPost, "/channels", "add-channel", "Be told of runs; the key of a webhook is shown once", http.StatusCreated)
	add.secret = true
	register(a, op(http.MethodGet, "/channels", "list-channels", "Where people are told of runs", 0), func(ctx context.Context, in *nothing) (*listOf[Channel], error) {
		of, err := a.owner(ctx)
		if err != nil {
			return nil, err
		}
		all, err := a.cfg.Store.Channels(ctx, of)
		return newList(store.Part[store.Channel]{Items: all}, channelView), err
	})
	register(a, add, func(ctx context.Context, in *addChannelInput) (*channelOutput, error) {
		of, err := a.owner(ctx)
		if err != nil {
			return nil, err
		}
		return a.addChannel(ctx, of, in.Body)
	})
	register(a, op(http.MethodPatch, "/channels/{channel}", "change-channel", "Change a channel; what is absent stays", 0), func(ctx context.Context, in *changeChannelInput) (*channelOutput, error) {
		c, err := a.channel(ctx, in.Channel)
		if err != nil {
			return nil, err
		}
		set(&c.Name, in.Body.Name)
		set(&c.Events, in.Body.Events)
		set(&c.Enabled, in.Body.Enabled)
		return a.changeChannel(ctx, c, in.Body.Settings)
	})
	register(a, op(http.MethodDelete, "/channels/{channel}", "delete-channel", "Delete a channel and what it was told", http.StatusNoContent), func(ctx context.Context, in *channelInput) (*struct{}, error) {
		c, err := a.channel(ctx, in.Channel)
		if err != nil {
			return nil, err
		}
		return nil, a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
			if err := tx.DeleteChannel(ctx, c.ID); err != nil {
				return err
			}
			return auth.FromContext(ctx).Audit(ctx, tx, auth.Change{Action: "channel.delete", Object: c.Name, Project: c.Project})
		})
	})
	register(a, op(http.MethodPost, "/channels/{channel}/test", "test-channel", "Send a message to a channel now, and say what became of it", 0), func(ctx context.Context, in *channelInput) (*notificationOutput, error) {
		c, err := a.channel(ctx, in.Channel)
		if err != nil {
			return nil, err
		}
		n, err := a.cfg.Notify.Test(ctx, c)
		return &notificationOutput{notificationView(n)}, err
	})
	register(a, op(http.MethodGet, "/notifications", "list-notifications", "What was told, and what became of it, newest first", 0), func(ctx context.Context, in *listNotificationsInput) (*listOf[Notification], error) {
		of, err := a.owner(ctx)
		if err != nil {
			return nil, err
		}
		// Of channels that are of all projects, a project's maintainers see nothing: what is answered there is not theirs.
		filter := store.NotificationFilter{Project: of, Channel: in.Channel, Run: in.Run, Own: of != 0, States: states[string](in.State)}
		part, err := a.cfg.Store.Notifications(ctx, filter, in.store())
		if err != nil {
			return nil, err
		}
		return newList(part, notificationView), nil
	})
	register(a, op(http.MethodPost, "/notifications/{notification}/replay", "replay-notification", "Have a message sent again", 0), func(ctx context.Context, in *notificationInput) (*notificationOutput, error) {
		of, err := a.owner(ctx)
		if err != nil {
			return nil, err
		}
		return a.replay(ctx, of, in.Notification)
	})
}

// channel is one of its owner's own: nobody reaches another's by its number.
func (a *API) channel(ctx context.Context, id int64) (store.Channel, error) {
	of, err := a.owner(ctx)
	if err != nil {
		return store.Channel{}, err
	}
	c, err := a.cfg.Store.Channel(ctx, id)
	if err == nil && c.Project != of {
		err = store.ErrNotFound
	}
	return c, err
}

// channelProblem is 422 for settings that are none.
func channelProblem(err error) error {
	if errors.Is(err, notify.ErrChannel) {
		return invalid("", "%v", err)
	}
	return err
}

func (a *API) addChannel(ctx context.Context, project int64, want NewChannel) (*channelOutput, error) {
	var made store.Channel
	var key string
	err := a.cfg.Store.Write(ctx, func(tx *store.Tx) (err error) {
		made, key, err = a.cfg.Notify.Add(ctx, tx, store.Channel{Project: project, Name: want.Name, Kind: want.Kind, Events: want.Events, Enabled: !want.Disabled}, want.Settings)
		if err != nil {
			return err
		}
		return auth.FromContext(ctx).Audit(ctx, tx, auth.Change{Action: "channel.create", Object: made.Name, Project: project, Detail: map[string]any{"kind": made.Kind, "events": made.Events}})
	})
	if err != nil {
		return nil, channelProblem(err)
	}
	out := &channelOutput{channelView(made)}
	out.Body.Key = key
	return out, nil
}

func (a *API) changeChannel(ctx context.Context, c store.Channel, s *notify.ChannelSettings) (*channelOutput, error) {
	err := a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		was, err := tx.Channel(ctx, c.ID)
		if err != nil {
			return err
		}
		if c, err = a.cfg.Notify.Change(ctx, tx, c, s); err != nil {
			return err
		}
		return auth.FromContext(ctx).Audit(ctx, tx, auth.Change{Action: "channel.change", Object: c.Name, Project: c.Project, Detail: map[string]any{"name": auth.FromTo(was.Name, c.Name), "events": auth.FromTo(was.Events, c.Events), "enabled": auth.FromTo(was.Enabled, c.Enabled), "settings": s != nil}})
	})
	if err != nil {
		return nil, channelProblem(err)
	}
	return &channelOutput{channelView(c)}, nil
}

func (a *API) replay(ctx context.Context, project, id int64) (*notificationOutput, error) {
	n, err := a.cfg.Store.Notification(ctx, id)
	if err != nil {
		return nil, err
	}
	if project != 0 { // of the project's own channels only
		c, err := a.cfg.Store.Channel(ctx, n.Channel)
		if err == nil && c.Project != project {
			err = store.ErrNotFound
		}
		if err != nil {
			return nil, err
		}
	}
	err = a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.ReplayNotification(ctx, id); err != nil {
			return err
		}
		return auth.FromContext(ctx).Audit(ctx, tx, auth.Change{Action: "notification.replay", Project: n.Project, Detail: map[string]any{"notification": id}})
	})
	if err != nil {
		return nil, err
	}
	n, err = a.cfg.Store.Notification(ctx, id)
	return &notificationOutput{notificationView(n)}, err
}

type inside struct {
	Body struct {
		Networks []string `json:"networks" maxItems:"100" nullable:"false" doc:"as 10.1.2.0/24; none: messages go to no address inside"`
	}
}

func (a *API) getInside(ctx context.Context, _ *nothing) (*inside, error) {
	text, err := a.cfg.Store.Setting(ctx, notify.SettingInside)
	if err != nil {
		return nil, err
	}
	networks, err := notify.Networks(text)
	return showInside(networks), err
}

func showInside(networks []netip.Prefix) *inside {
	out := &inside{}
	out.Body.Networks = []string{}
	for _, n := range networks {
		out.Body.Networks = append(out.Body.Networks, n.String())
	}
	return out
}

func (a *API) setInside(ctx context.Context, in *inside) (*inside, error) {
	text := strings.Join(in.Body.Networks, ",")
	networks, err := notify.Networks(text)
	if err != nil {
		return nil, invalid("networks", "%v", err)
	}
	return showInside(networks), a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		was, err := tx.Setting(ctx, notify.SettingInside)
		if err != nil {
			return err
		}
		if err := tx.SetSetting(ctx, notify.SettingInside, text); err != nil {
			return err
		}
		return auth.FromContext(ctx).Audit(ctx, tx, auth.Change{Action: "settings.change", Object: notify.SettingInside, Detail: map[string]any{"value": auth.FromTo(was, text)}})
	})
}
