package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) newWorkerCommand() *cobra.Command {
	var o serviceOptions
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Do builds for a server on PostgreSQL",
		Long: `Take work from the database that 'reqpm serve --database postgres://…' uses, and do it. Any number of workers may be
added and removed while everything runs. All need the same database and the same blobs: a bucket (--blobs s3://…), or the state
directory's folders blobs, logs, repos and keys on shared storage. With a bucket, the server publishes.

SIGTERM hands running builds back and ends; with --stop wait it takes nothing new and ends when what runs has ended. When it
has started one JSON line on stdout says so: {"event":"started"}.

` + exitCodesHelp,
		Example: `  reqpm worker --database postgres://reqpm@db.example.org/reqpm --slots 8 --labels builder=mock
  reqpm worker --database postgres://reqpm@db.example.org/reqpm --blobs 's3://builds/reqpm?endpoint=https://s3.example.org'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runWorker(cmd.Context(), o) },
	}
	o.register(cmd)
	return cmd
}

func (a *app) runWorker(ctx context.Context, o serviceOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.database == "" {
		return usagef("name the server's database: --database postgres://…")
	}
	log := a.logger()
	p, err := a.openParts(ctx, o, false, log)
	if err != nil {
		return err
	}
	defer func() { _ = p.close() }()
	e, err := p.newEngine(o, []string{roleWorker}, false, log, a.version)
	if err != nil {
		return err
	}
	stopping := &stopper{}
	ctx, done := stopping.work(ctx, o.stop, e, log)
	defer done()
	if err := a.sayStarted(log, listening{Event: "started"}); err != nil {
		return err
	}
	return e.Run(ctx)
}
