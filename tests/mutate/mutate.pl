#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# Makes one thing wrong in a copy of the sources.
#
#	mutate.pl prepare TREE      adds what mutations need to base/atomics.h
#	mutate.pl list TREE         every mutation, one per line: its name and its file
#	mutate.pl apply TREE NAME   makes it
#	mutate.pl check TREE TABLE             whether the table in docs has each of them, and no others
#	mutate.pl killer TABLE NAME            what noticed it, by the table in docs
#	mutate.pl record TABLE LIST RESULTS    writes the table anew: of what is listed; what was tried has a new result
#
# The weakened orders are found in the sources: each atomic operation that carries a label of docs/MEMORY-ORDER.md is weakened in the
# half the label speaks of. The others stand in mutations.txt beside this script, each a name, a file and a substitution, tab-separated.
use strict;
use warnings;
use FindBin;

my ($command, $tree, $wanted) = @ARGV;
my %arguments = (prepare => 2, list => 2, apply => 3, check => 3, killer => 3, record => 4);
die "usage: mutate.pl prepare|list TREE, apply TREE NAME, check TREE TABLE, killer TABLE NAME, record TABLE LIST RESULTS\n"
	unless $command && @ARGV == ($arguments{$command} || 0);

# What an operation becomes when it loses a half, or more.
my %weaker = (
	load_acquire      => { A => ['load_relaxed'] },
	store_release     => { R => ['store_relaxed'] },
	fetch_sub_release => { R => ['fetch_sub_relaxed'] },
	cas_acq_rel       => { R => ['cas_acquire'], A => ['cas_release'] },
	exchange_acquire  => { A => [ 'exchange_relaxed', 'store_release' ] },
	exchange_release  => { R => [ 'exchange_relaxed', 'store_release' ] },
	fetch_add_release => { R => ['fetch_add_relaxed'] },
	exchange_relaxed  => { R => ['store_relaxed'] },
	fetch_add_acq_rel => { R => ['fetch_add_acquire'], A => ['fetch_add_release'] },
	fence_acquire     => { A => ['fence_nothing'] },
	fence_release     => { R => ['fence_nothing'] },
);

# What base/atomics.h does not need otherwise.
my $wrappers = <<'END';
#define fetch_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define fetch_add_acquire(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acquire)
#define cas_acquire(p, expected, desired) \
	atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_acquire, memory_order_acquire)
#define cas_release(p, expected, desired) \
	atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_release, memory_order_relaxed)
#define fence_nothing() ((void)0)
#endif
END

sub read_file { my ($path) = @_; local $/; open my $in, '<', $path or die "$path: $!\n"; return <$in> }
sub write_file { my ($path, $text) = @_; open my $out, '>', $path or die "$path: $!\n"; print $out $text; close $out or die "$path: $!\n" }

# The labels that speak for the statement that a line begins or belongs to: above it, and up to its end.
sub labels
{
	my ($lines, $at) = @_;
	my $text = $lines->[$at];
	my $first = $at;

	# Upwards to the comment in front, past the beginning of the statement.
	while ($first > 0 && $lines->[ $first - 1 ] !~ /[;{}]\s*(\/\*.*)?$/) {
		$first--;
		last if $lines->[$first] =~ /^\s*\/\*/;
	}
	$text = join '', @$lines[ $first .. $at ];
	my $last = $at;
	while ($lines->[$last] !~ /[;{}]\s*(\/\*.*)?$/ && $last < $#$lines) { $text .= $lines->[ ++$last ] }
	my %sides;
	$sides{R}{$1} = 1 while $text =~ /R(\d+) -> A\d+/g;
	$sides{A}{$1} = 1 while $text =~ /A(\d+) <- R\d+/g;
	return \%sides;
}

# Calls $found->(name, path, sub that returns the mutated text) for each.
sub each_order
{
	my ($found) = @_;
	my $pattern = join '|', keys %weaker;
	my @paths = sort split /\n/, `cd '$tree' && find libshm daemon -name '*.[ch]' ! -path libshm/base/atomics.h`;
	for my $path (@paths) {
		my @lines = split /^/, read_file("$tree/$path");
		my ($function, %seen) = ('');
		for my $at (0 .. $#lines) {
			$function = $1 if $lines[$at] =~ /^[a-z].*?\b(?!__attribute__)(\w+)\(/ && $1 ne 'always_inline' && $1 ne 'noinline';
			next if $lines[$at] =~ /^\s*\/?\*/;
			my $line = $lines[$at];
			while ($line =~ /\b($pattern)\(/g) {
				my ($operation, $begin, $end) = ($1, $-[1], $+[1]);
				my $sides = labels(\@lines, $at);
				for my $side (sort keys %$sides) {
					for my $instead (@{ $weaker{$operation}{$side} || [] }) {
						my $labels = join '+', map { "$side$_" } sort { $a <=> $b } keys %{ $sides->{$side} };
						my $name = "$labels $function $operation>$instead";
						$name .= " $seen{$name}" if $seen{$name}++;
						$found->($name, $path, sub {
							my @mutated = @lines;
							substr($mutated[$at], $begin, $end - $begin) = $instead;
							return join '', @mutated;
						});
					}
				}
			}
		}
	}
}

sub each_listed
{
	my ($found) = @_;
	for (split /\n/, read_file("$FindBin::Bin/mutations.txt")) {
		next if /^\s*(#|$)/;
		my ($name, $path, $substitution) = split /\t+/;
		die "mutations.txt: not three columns: $_\n" unless defined $substitution;
		$found->($name, $path, sub {
			my $before = my $text = do { read_file("$tree/$path") };
			local $_ = $text;
			eval "$substitution; 1" or die "mutations.txt: $name: $@";
			die "mutations.txt: the pattern of \"$name\" matches nothing in $path any more\n" if $_ eq $before;
			return $_;
		});
	}
}

# What noticed each, by the table in docs.
sub killers
{
	my ($table) = @_;
	my %killers;
	return %killers unless -e $table;
	/^\| (.+?) \| `.+?` \| (.+?) \|$/ && ($killers{$1} = $2) for split /\n/, read_file($table);
	return %killers;
}

my $head = <<'END';
# Mutations, and what notices them
Written by `make mutate`. Of what it makes wrong, and how, see [RELIABILITY.md](RELIABILITY.md#mutations). The first name of a weakened order is its
label in [MEMORY-ORDER.md](MEMORY-ORDER.md). What noticed it is a scenario of `tests/weak`, or a program below `tests/unit`.

| mutation | in | noticed by |
|---|---|---|
END

if ($command eq 'killer') {
	my %killers = killers($tree);
	print $killers{$wanted} || '', "\n";
	exit;
}
if ($command eq 'record') {
	my ($table, $list, $results) = @ARGV[ 1 .. 3 ];
	my %killers = killers($table);
	for (split /\n/, read_file($results)) {
		my ($name, undef, $verdict, $result) = split /\t/;
		$killers{$name} = $verdict if $result eq 'ok';
		delete $killers{$name} if $verdict eq 'SURVIVED';
	}
	my $rows = '';
	for (split /\n/, read_file($list)) {
		my ($name, $path) = split /\t/;
		$rows .= "| $name | `$path` | $killers{$name} |\n" if $killers{$name};
	}
	write_file($table, $head . $rows);
	exit;
}
if ($command eq 'prepare') {
	my $atomics = read_file("$tree/libshm/base/atomics.h");
	$atomics =~ s/#endif\s*\z/$wrappers/ or die "base/atomics.h does not end with #endif\n";
	write_file("$tree/libshm/base/atomics.h", $atomics);
	exit;
}

my ($done, %listed) = (0);
for my $each (\&each_order, \&each_listed) {
	$each->(sub {
		my ($name, $path, $mutate) = @_;
		if ($command eq 'list') {
			$mutate->(); # it must still match
			print "$name\t$path\n";
		} elsif ($command eq 'check') {
			$mutate->();
			die "mutations: there are two of the name \"$name\"\n" if $listed{$name}++;
		} elsif ($name eq $wanted) {
			write_file("$tree/$path", $mutate->());
			$done = 1;
		}
	});
}
die "there is no mutation \"$wanted\"\n" if $command eq 'apply' && !$done;
if ($command eq 'check') {
	my %killers = killers($wanted);
	my @unknown = sort grep { !$killers{$_} } keys %listed;
	my @gone = sort grep { !$listed{$_} } keys %killers;
	print "docs/MUTATIONS.md: it does not say what notices \"$_\": make mutate PATTERN='...'\n" for @unknown;
	print "docs/MUTATIONS.md: \"$_\" is no mutation any more: make mutate PATTERN='...' writes the table anew\n" for @gone;
	exit(@unknown || @gone ? 1 : 0);
}
