// A replica of Curator's LeaderLatch: asks hasLeadership() every 10 ms. Arguments as in __init__.py, and the seconds that
// the boot-time clock is ahead of System.nanoTime.

import java.io.FileOutputStream;
import java.io.RandomAccessFile;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.retry.RetryForever;

public final class Latch {
    private static double ahead;

    private static double now() {
        return System.nanoTime() / 1e9 + ahead;
    }

    private static void write(FileOutputStream out, String line) throws Exception {
        out.write(line.getBytes(StandardCharsets.US_ASCII));
    }

    private static long last(RandomAccessFile work) throws Exception {
        long size = work.length();
        if (size == 0) {
            return 0;
        }
        byte[] line = new byte[40];
        work.seek(size - 40);
        work.readFully(line);
        return Long.parseLong(new String(line, StandardCharsets.US_ASCII).trim().split(" ")[0]);
    }

    public static void main(String[] arguments) throws Exception {
        int timeout = (int) (Double.parseDouble(arguments[3]) * 1000);
        ahead = Double.parseDouble(arguments[7]);
        FileOutputStream observations = new FileOutputStream(arguments[5], true);
        RandomAccessFile work = new RandomAccessFile(arguments[6], "rw");
        CuratorFramework client =
            CuratorFrameworkFactory.newClient(arguments[0], timeout, timeout, new RetryForever(200));
        client.start();
        LeaderLatch latch = new LeaderLatch(client, "/ELECTION/" + arguments[1], arguments[2]);
        latch.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                latch.close();
                client.close();
            } catch (Exception error) {
                // it ends anyway
            }
        }));
        long unit = -1;
        double begun = 0;
        while (true) {
            double before = now();
            boolean leads = latch.hasLeadership();
            double after = now();
            if (leads) {
                write(observations, String.format(Locale.ROOT, "True %.6f %.6f 0%n", before, after));
                if (unit < 0) {
                    unit = last(work) + 1;
                    begun = now();
                } else if (now() - begun >= 0.02 && latch.hasLeadership()) {
                    try (FileLock lock = work.getChannel().lock()) {
                        work.seek(work.length());
                        work.write(String.format("%40s", unit + " 0\n").getBytes(StandardCharsets.US_ASCII));
                    }
                    write(observations, String.format(Locale.ROOT, "Work %d 0 %.6f%n", unit, now()));
                    unit = -1;
                }
            } else {
                unit = -1;
            }
            Thread.sleep(10);
        }
    }
}
