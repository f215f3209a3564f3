#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# Makes one thing wrong in a copy of the sources.
#
#	mutate.pl prepare TREE      adds what mutations need to base/atomics.h
#	mutate.pl list TREE         names every mutation, one per line
#	mutate.pl apply TREE NAME   makes it, and prints the file
#
# The weakened orders are found in the sources: each atomic operation that carries a label of docs/MEMORY-ORDER.md is weakened in the
# half the label speaks of. The others stand in mutations.txt beside this script, each a name, a file and a substitution, tab-separated.
use strict;
use warnings;
use FindBin;

my ($command, $tree, $wanted) = @ARGV;
die "usage: mutate.pl prepare|list|apply TREE [NAME]\n"
	unless $tree && ($command =~ /^(prepare|list)$/ || $command eq 'apply' && $wanted);

# What an operation becomes when it loses a half, or more.
my %weaker = (
	load_acquire      => { A => ['load_relaxed'] },
	store_release     => { R => ['store_relaxed'] },
	fetch_sub_release => { R => ['fetch_sub_relaxed'] },
	cas_acq_rel       => { R => ['cas_acquire'], A => ['cas_release'] },
	exchange_acq_rel  => { R => [ 'exchange_relaxed', 'store_relaxed' ] },
	fetch_add_acq_rel => { R => ['fetch_add_acquire'], A => ['fetch_add_release'] },
	fence_acquire     => { A => ['fence_nothing'] },
	fence_release     => { R => ['fence_nothing'] },
);

# What base/atomics.h does not need otherwise.
my $wrappers = <<'END';
#define fetch_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define exchange_relaxed(p, v) atomic_exchange_explicit((p), (v), memory_order_relaxed)
#define fetch_add_acquire(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acquire)
#define fetch_add_release(p, v) atomic_fetch_add_explicit((p), (v), memory_order_release)
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
		my ($name, $path, $substitution, $killer) = split /\t+/;
		die "mutations.txt: not three columns: $_\n" unless defined $substitution;
		$found->($name, $path, sub {
			my $before = my $text = do { read_file("$tree/$path") };
			local $_ = $text;
			eval "$substitution; 1" or die "mutations.txt: $name: $@";
			die "mutations.txt: the pattern of \"$name\" matches nothing in $path any more\n" if $_ eq $before;
			return $_;
		}, $killer);
	}
}

if ($command eq 'prepare') {
	my $atomics = read_file("$tree/libshm/base/atomics.h");
	$atomics =~ s/#endif\s*\z/$wrappers/ or die "base/atomics.h does not end with #endif\n";
	write_file("$tree/libshm/base/atomics.h", $atomics);
	exit;
}

my $done = 0;
for my $each (\&each_order, \&each_listed) {
	$each->(sub {
		my ($name, $path, $mutate, $killer) = @_;
		if ($command eq 'list') {
			$mutate->(); # it must still match
			print join("\t", $name, $path, $killer || ''), "\n";
		} elsif ($name eq $wanted) {
			write_file("$tree/$path", $mutate->());
			$done = 1;
		}
	});
}
die "there is no mutation \"$wanted\"\n" if $command eq 'apply' && !$done;
