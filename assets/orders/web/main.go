// Orders keeps the order book of one site: a web page and a JSON API over PostgreSQL.
//
// One static program with three verbs: serve answers people and programs, migrate brings the
// database to this version's schema, acceptance uses a running site as a customer would.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"registry.sealift.example/orders/web/internal/acceptance"
	"registry.sealift.example/orders/web/internal/database"
	"registry.sealift.example/orders/web/internal/site"
	"registry.sealift.example/orders/web/internal/telemetry"
)

// version may be set by the linker; the default is the version that these sources make.
var version = "4.2.0"

const usage = `Orders %s

  orders serve                       answer HTTP (settings come from the environment)
  orders migrate [--wait 5m]         bring the database to this version's schema
  orders acceptance --url URL        use a running site as a customer would; prints TAP
  orders version                     print the version

Environment
  ORDERS_LISTEN                address to listen on (:8080)
  ORDERS_SITE_TITLE            title of the page
  ORDERS_GREETING              line below the title
  ORDERS_INSTANCE              name of this instance (the host name)
  ORDERS_ADMIN_PASSWORD_FILE   password of the user admin, who ships and removes orders
  ORDERS_DB_PASSWORD_FILE      password of the database user
  PGHOST PGPORT PGDATABASE PGUSER PGPASSFILE PGSSLMODE PGSSLROOTCERT   as PostgreSQL's own programs read them
  ORDERS_LOGS_URL              push address of a Loki that gets the log, too; nowhere where empty
  ORDERS_METRICS_URL           remote write address of a Prometheus that gets measurements; nowhere where empty
  ORDERS_LOGS_… ORDERS_METRICS_…   USER, PASSWORD_FILE and CA_FILE for these
`

// Exit codes: 1 the work failed, 2 the command line is wrong.
const (
	exitFailed = 1
	exitUsage  = 2
)

var errUsage = errors.New("wrong usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		os.Exit(exitUsage)
	case errors.Is(err, acceptance.ErrFailed):
		os.Exit(exitFailed) // the TAP lines have said what failed
	default:
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(exitFailed)
	}
}

func run(ctx context.Context, arguments []string, out, diagnostics io.Writer) error {
	if len(arguments) == 0 {
		fmt.Fprintf(diagnostics, usage, version)
		return errUsage
	}
	verb, rest := arguments[0], arguments[1:]
	switch verb {
	case "serve":
		return serve(ctx, rest, diagnostics)
	case "migrate":
		return migrate(ctx, rest, out, diagnostics)
	case "acceptance":
		return accept(ctx, rest, out, diagnostics)
	case "version", "--version":
		fmt.Fprintln(out, version)
		return nil
	case "help", "--help", "-h":
		fmt.Fprintf(out, usage, version)
		return nil
	default:
		fmt.Fprintf(diagnostics, "unknown verb %q\n\n", verb)
		fmt.Fprintf(diagnostics, usage, version)
		return errUsage
	}
}

func serve(ctx context.Context, arguments []string, diagnostics io.Writer) error {
	flags := newFlags("serve", diagnostics)
	if err := parse(flags, arguments); err != nil {
		return err
	}
	settings := site.FromEnvironment(version)
	logs, err := telemetry.FromEnvironment("ORDERS_LOGS")
	if err != nil {
		return err
	}
	metrics, err := telemetry.FromEnvironment("ORDERS_METRICS")
	if err != nil {
		return err
	}
	pool, err := database.Open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	// They send on while the last requests finish.
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	var senders sync.WaitGroup
	defer senders.Wait()
	defer stop()
	to := diagnostics
	if logs != nil {
		lines := telemetry.NewLogs(logs, settings.Instance)
		to = io.MultiWriter(diagnostics, lines)
		senders.Go(func() { lines.Run(sending, diagnostics) })
	}
	if metrics != nil {
		counts := telemetry.NewMetrics(metrics, settings.Instance)
		settings.Observe = counts.Observe
		senders.Go(func() { counts.Run(sending, diagnostics) })
	}
	logger := slog.New(slog.NewJSONHandler(to, nil))
	return site.Serve(ctx, settings, database.NewStore(pool), logger)
}

func migrate(ctx context.Context, arguments []string, out, diagnostics io.Writer) error {
	flags := newFlags("migrate", diagnostics)
	wait := flags.Duration("wait", 5*time.Minute, "how long to wait for the database")
	if err := parse(flags, arguments); err != nil {
		return err
	}
	pool, err := database.Open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	say := func(format string, values ...any) { fmt.Fprintf(out, format+"\n", values...) }
	if err := database.WaitReachable(ctx, pool, *wait, say); err != nil {
		return err
	}
	return database.Migrate(ctx, pool, say)
}

func accept(ctx context.Context, arguments []string, out, diagnostics io.Writer) error {
	flags := newFlags("acceptance", diagnostics)
	url := flags.String("url", "", "address of the site, e.g. http://orders.orders.svc")
	title := flags.String("title", os.Getenv("ORDERS_SITE_TITLE"), "title that the page must show; any where empty")
	passwordFile := flags.String("admin-password-file", os.Getenv("ORDERS_ADMIN_PASSWORD_FILE"), "file with the password of the user admin")
	wait := flags.Duration("wait", time.Minute, "how long to wait until the site says it is ready")
	if err := parse(flags, arguments); err != nil {
		return err
	}
	if *url == "" {
		fmt.Fprintln(diagnostics, "acceptance needs --url")
		return errUsage
	}
	return acceptance.Run(ctx, acceptance.Options{
		URL: *url, Title: *title, Version: version, AdminPasswordFile: *passwordFile, Wait: *wait,
	}, out)
}

func newFlags(verb string, diagnostics io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet("orders "+verb, flag.ContinueOnError)
	flags.SetOutput(diagnostics)
	return flags
}

func parse(flags *flag.FlagSet, arguments []string) error {
	if err := flags.Parse(arguments); err != nil {
		return errUsage // flag has told the user already
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(flags.Output(), "unexpected argument %q\n", flags.Arg(0))
		return errUsage
	}
	return nil
}
