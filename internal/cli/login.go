package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"reqpm/internal/client"
)

func (a *app) newLoginCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "login [URL]",
		Short: "Keep a token for a server, which is then the one that commands ask",
		Long: `Read a token from the terminal or standard input, try it, and keep it in login.json beside the configuration, readable
by you alone. The server is then the one that is asked when --server and REQPM_SERVER name none. 'reqpm token create' on
the server makes tokens; REQPM_TOKEN goes before a kept one.

` + exitCodesHelp,
		Example: `  reqpm login https://reqpm.example.org
  sudo reqpm token create --role admin | reqpm login http://127.0.0.1:8470`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runLogin(cmd.Context(), firstArg(args)) },
	}
}

func (a *app) newLogoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logout [URL]",
		Short: "Forget the token of a server",
		Long: `Remove the token that 'reqpm login' kept. It stays valid until it ends or is revoked: 'reqpm token revoke' on the server.

` + exitCodesHelp,
		Example: "  reqpm logout\n  reqpm logout https://reqpm.example.org",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return a.runLogout(firstArg(args)) },
	}
}

func (a *app) runLogin(ctx context.Context, server string) error {
	l, err := readLogins()
	if err != nil {
		return err
	}
	if server == "" {
		server = a.global.server
	}
	if server == "" {
		server = l.Default
	}
	if server == "" {
		return usagef("name the server: reqpm login URL")
	}
	u, err := client.Address(server)
	if err != nil {
		return usageError{err}
	}
	if host, err := netip.ParseAddr(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !host.IsLoopback()) {
		a.say("warning: %s has no TLS: whoever is on the way can read the token", u)
	}
	token, err := a.readSecret("Token of " + u.String() + ": ")
	if err != nil {
		return err
	}
	c, err := a.newClient(u.String(), token)
	if err != nil {
		return err
	}
	version, err := c.Version(ctx)
	if err != nil {
		return err
	}
	if _, err := client.Collect(c.Projects(ctx, ""), 1); err != nil {
		return err // nothing is kept that does not work
	}
	l.Default, l.Servers[u.String()] = u.String(), token
	if err := l.write(); err != nil {
		return usagef("keep the token: %w", err)
	}
	if a.global.json {
		return a.printJSON(map[string]string{"server": u.String(), "version": version, "file": loginFile()})
	}
	a.say("%s, version %s: the token is kept in %s", u, version, loginFile())
	return nil
}

// readSecret reads one line, from a terminal without showing it.
func (a *app) readSecret(prompt string) (string, error) {
	var text string
	if f, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		a.say("%s", prompt)
		line, err := term.ReadPassword(int(f.Fd()))
		if err != nil {
			return "", usagef("read the token: %w", err)
		}
		text = string(line)
	} else {
		line, err := bufio.NewReader(io.LimitReader(a.stdin, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", usagef("read the token: %w", err)
		}
		text = line
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", usagef("there is no token on standard input")
	}
	return text, nil
}

func (a *app) runLogout(server string) error {
	l, err := readLogins()
	if err != nil {
		return err
	}
	if server == "" {
		server = a.global.server
	}
	if server == "" {
		server = l.Default
	}
	u, err := client.Address(server)
	if err != nil || l.Servers[u.String()] == "" {
		return usagef("no token is kept of %q", server)
	}
	delete(l.Servers, u.String())
	if l.Default == u.String() {
		l.Default = ""
	}
	if err := l.write(); err != nil {
		return usagef("forget the token: %w", err)
	}
	a.say("the token of %s is forgotten here; it stays valid until it is revoked there", u)
	return nil
}
