package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/api"
	"reqpm/internal/client"
)

func (a *app) newSettingsCommand() *cobra.Command {
	get := &cobra.Command{
		Use: "get [NAME]", Short: "Show the settings of a server, or one", Args: cobra.MaximumNArgs(1), Example: "  reqpm settings get\n  reqpm settings get retention_days",
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error { return a.getSettings(ctx, c, args) }),
	}
	set := &cobra.Command{
		Use: "set NAME=VALUE...", Short: "Change settings of a server while it runs", Args: cobra.MinimumNArgs(1), Example: "  reqpm settings set retention_days=30 log_days=7\n  reqpm settings set min_age=7d\n  reqpm settings set default_targets=el9,el10",
		Long: "Store values: they count at once, in all processes of the server. Lists are by comma, bytes whole numbers.",
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error { return a.setSettings(ctx, c, args) }),
	}
	reset := &cobra.Command{
		Use: "reset NAME...", Short: "Forget stored settings: what the server was started with counts", Args: cobra.MinimumNArgs(1), Example: "  reqpm settings reset min_age",
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.changeSettings(ctx, c, map[string]any{"reset": args}, args)
		}),
	}
	get.ValidArgsFunction, reset.ValidArgsFunction = a.completing(completeSetting), a.completing(completeSetting)
	return a.group("settings", "Show and change the settings of a server", "Settings that take effect without a restart. Administrators only.", "  reqpm settings get\n  reqpm settings set retention_days=30", get, set, reset)
}

func completeSetting(ctx context.Context, c *client.Client, _ string) []string {
	var names []string
	all, _ := c.Settings(ctx)
	for _, s := range all {
		names = append(names, s.Name)
	}
	return names
}

func (a *app) getSettings(ctx context.Context, c *client.Client, args []string) error {
	all, err := c.Settings(ctx)
	if err != nil {
		return err
	}
	if len(args) > 0 {
		if all, err = chosenSettings(all, args); err != nil {
			return err
		}
	}
	return a.printSettings(all)
}

// chosenSettings are those of some names.
func chosenSettings(all []api.Setting, names []string) ([]api.Setting, error) {
	var chosen []api.Setting
	for _, name := range names {
		i := slices.IndexFunc(all, func(s api.Setting) bool { return s.Name == name })
		if i < 0 {
			return nil, usagef("there is no setting %q; see 'reqpm settings get'", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func (a *app) printSettings(all []api.Setting) error {
	if a.global.json {
		return a.printJSON(map[string]any{"settings": all})
	}
	rows := [][]string{{"NAME", "VALUE", "FROM", ""}}
	for _, s := range all {
		rows = append(rows, []string{s.Name, settingText(s.Value), s.Source, s.Title})
	}
	a.table(rows)
	return nil
}

// settingText is a value as 'settings set' takes it.
func settingText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case float64: // as JSON has every number
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		texts := make([]string, len(v))
		for i, x := range v {
			texts[i] = settingText(x)
		}
		return strings.Join(texts, ",")
	}
	return fmt.Sprint(value)
}

func (a *app) setSettings(ctx context.Context, c *client.Client, args []string) error {
	all, err := c.Settings(ctx)
	if err != nil {
		return err
	}
	change := map[string]any{}
	var names []string
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		if !ok {
			return usagef("%q is not NAME=VALUE", arg)
		}
		one, err := chosenSettings(all, []string{name})
		if err != nil {
			return err
		}
		names = append(names, name)
		switch one[0].Kind {
		case "integer", "bytes", "boolean":
			if !json.Valid([]byte(text)) {
				return usagef("%s: %q is no value for it: expected %s", name, text, one[0].Kind)
			}
			change[name] = json.RawMessage(text)
		case "list":
			change[name] = splitList(text)
		default:
			change[name] = text
		}
	}
	return a.changeSettings(ctx, c, change, names)
}

// splitList is a list by comma; nothing is none.
func splitList(text string) []string {
	list := []string{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

func (a *app) changeSettings(ctx context.Context, c *client.Client, change map[string]any, names []string) error {
	all, err := c.ChangeSettings(ctx, change)
	if err != nil {
		return err
	}
	if all, err = chosenSettings(all, names); err != nil {
		return err
	}
	return a.printSettings(all)
}
